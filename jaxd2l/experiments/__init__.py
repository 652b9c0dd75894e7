"""The book's experiments that are more than one training run; each module is one of them.

- `linear_regression`: from scratch, by layer and in closed form (D2L chap_linear)
- `polynomial`: under- and overfitting (D2L sec_model_selection)
- `regularisation`: decay, L1 against L2, the curve that picks lambda, dropout (D2L sec_weight_decay, sec_dropout)
- `houses`: house prices by K-fold cross-validation (D2L sec_kaggle_house)
- `descent`: the minibatch gradient descent of the first three, from scratch
"""
