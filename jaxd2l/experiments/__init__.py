"""The book's experiments that are more than one training run; each module is one of them.

- `linear_regression`: from scratch, by layer and in closed form (D2L 3)
- `polynomial`: under- and overfitting (D2L 4.4)
- `regularisation`: weight decay, L1 against L2, the curve that picks lambda, dropout (D2L 3.7, 5.6)
- `houses`: house prices by K-fold cross-validation (D2L 5.7)
- `house_loops`: what training the same grid by Python loops costs
- `descent`: the minibatch gradient descent of the first three, from scratch
"""
