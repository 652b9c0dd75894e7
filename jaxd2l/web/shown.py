"""Which results of a plan are worth a look, and what they are called."""

from jaxd2l.web.plan import Layer, Plan, Step

_NAMES = {
    "relu": "ReLU",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "erf": "erf",
    "erfc": "erfc",
    "convolve": "convolution",
    "multiply": "product",
}
_COMBINED = {"max": "maximum", "min": "minimum", "sum": "mean"}  # a sum over windows is divided in the next step


def layers_of(plan: Plan, first: int, last: int) -> tuple[Layer, ...]:
    """The results that are shown, in order.

    A new one begins with an operation that has a name, or with a new layer of the network; additions of a bias and
    what else belongs to the same layer go on with it.

    Args:
        plan: of a network.
        first: number of the array that the network was given.
        last: number of its outputs; later results are not shown.
    """
    found: list[Layer] = []
    current: set[int] = set()  # the results so far of the layer that is shown last
    scope, named = "", ""
    for step in plan.steps:
        if step.output <= first or step.output > last:
            continue
        name = _name(plan, step)
        goes_on = bool(current & set(step.inputs)) and step.scope == scope
        same_pool = step.operation == "window" and name == named and goes_on
        if not same_pool and (name or (step.scope != scope and step.operation not in ("reshape", "view"))):
            found.append(Layer(step.output, _label(step.scope, name)))
            current, scope, named = {step.output}, step.scope, name
        elif goes_on and step.operation != "reshape":
            found[-1] = found[-1]._replace(number=step.output)
            current.add(step.output)
        elif goes_on:
            current.add(step.output)
    return tuple(found)


def _label(scope: str, name: str) -> str:
    own = scope.rpartition("/")[2]
    if not name or (own and name in ("convolution", "product")):
        return scope
    return f"{scope}: {name}" if scope else name


def _name(plan: Plan, step: Step) -> str:
    """What an operation is called; "" for one that only goes on with another."""
    if step.operation in _NAMES:
        return _NAMES[step.operation]
    if step.operation == "window":
        return f"{_COMBINED[step.settings['by']]} over windows of {step.settings['size']}"
    if step.operation == "max" and any(n in plan.constants and not plan.constants[n].any() for n in step.inputs):
        return "ReLU"
    if step.operation == "reduce" and step.settings["by"] == "sum" and len(plan.shapes[step.inputs[0]]) == 4:
        return "mean over the image"
    results = [n for n in step.inputs if n not in plan.constants]
    if step.operation == "place" and len(results) > 1:
        return "side by side"
    return "sum" if step.operation == "add" and len(set(results)) > 1 else ""
