"""Weight decay and its norms, L1 against L2, the validation curve that picks lambda, dropout on houses."""

from jaxd2l.experiments.regularisation import dropout_effect, l1_against_l2, validation_curve, weight_decay

for decay in weight_decay((0.0, 3.0)):
    print(
        f"lambda {decay.strength:g}: |w| {decay.norm:.3f}, train loss {decay.train_loss[-1]:.6f}, "
        f"test loss {decay.test_loss[-1]:.3f}"
    )
print("published: |w| 12.96, test loss 98; |w| .356, test loss .08")

selection = l1_against_l2()
print(f"inputs that matter {(selection.truth != 0).nonzero()[0]}, kept by L1 {(selection.l1 != 0).nonzero()[0]}")
print(f"weights of exactly zero: L1 {(selection.l1 == 0).sum()} of 20, L2 {(selection.l2 == 0).sum()} of 20")

curve = validation_curve()
for strength, train, held_out in zip(curve.strengths, curve.train_loss, curve.validation_loss, strict=True):
    mark = " <- chosen" if strength == curve.choice else ""
    print(f"lambda {strength:<6g} train {train.mean():.3f}  validation {held_out.mean():.3f}{mark}")

for effect in dropout_effect():
    print(f"dropout {effect.rate:g}: log-RMSE {effect.log_rmse.mean():.4f}, train loss {effect.train_loss:.4f}")
