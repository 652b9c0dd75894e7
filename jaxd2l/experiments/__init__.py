"""The book's experiments that are more than one training run; each module is one of them.

- `houses`: house prices by K-fold cross-validation (D2L 5.7)
- `house_loops`: what training the same grid by Python loops costs
"""
