"use strict";
// Runs a network that jaxd2l wrote as a list of steps on float32 arrays (jaxd2l/web/plan.py). Sums are kept in
// float64 and rounded once. Every array is made beforehand, so that a forward pass allocates nothing.

const interpreter = (() => {
  const { size, view, place, reduce, slide, product, convolution } = kernels;

  function erfc(x) {
    if (x < 2.5) return 1 - erf(x);
    let rest = x; // the continued fraction of Laplace, from far enough below
    for (let i = 60; i > 0; i--) rest = x + i / 2 / rest;
    return Math.exp(-x * x) / (Math.sqrt(Math.PI) * rest);
  }

  function erf(x) {
    if (x < 0) return -erf(-x);
    if (x >= 2.5) return 1 - erfc(x);
    let term = x, sum = x; // a series of positive terms
    for (let n = 1; n < 60; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }

  function roundEven(x) {
    const below = Math.floor(x), rest = x - below;
    return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
  }

  const ONE = {
    relu: (x) => (x <= 0 ? 0 : x),
    logistic: (x) => 1 / (1 + Math.exp(-x)),
    exp2: (x) => Math.pow(2, x),
    rsqrt: (x) => 1 / Math.sqrt(x),
    neg: (x) => -x,
    square: (x) => x * x,
    is_finite: (x) => (Number.isFinite(x) ? 1 : 0),
    round_even: roundEven,
    round_away: (x) => Math.sign(x) * Math.floor(Math.abs(x) + 0.5),
    erf,
    erfc,
  };
  for (const name of ["exp", "log", "log1p", "expm1", "tanh", "sqrt", "cbrt", "abs", "sign", "floor", "ceil", "trunc",
    "sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh"]) ONE[name] = Math[name];

  const TWO = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div: (a, b) => a / b,
    max: (a, b) => (a !== a || b !== b ? NaN : a > b ? a : b),
    min: (a, b) => (a !== a || b !== b ? NaN : a < b ? a : b),
    pow: (a, b) => Math.pow(a, b),
    atan2: Math.atan2,
    eq: (a, b) => (a === b ? 1 : 0),
    ne: (a, b) => (a !== b ? 1 : 0),
    lt: (a, b) => (a < b ? 1 : 0),
    le: (a, b) => (a <= b ? 1 : 0),
    gt: (a, b) => (a > b ? 1 : 0),
    ge: (a, b) => (a >= b ? 1 : 0),
    and: (a, b) => a && b,
    or: (a, b) => a || b,
  };

  const COMBINE = { sum: TWO.add, prod: TWO.mul, max: TWO.max, min: TWO.min };
  const START = { sum: 0, prod: 1, max: -Infinity, min: Infinity };

  function one(f, x, out) {
    for (let i = 0; i < out.length; i++) out[i] = f(x[i]);
  }

  function two(f, a, b, out) { // the shorter operand repeats
    const n = out.length, m = a.length, k = b.length;
    if (m === n && k === n) for (let i = 0; i < n; i++) out[i] = f(a[i], b[i]);
    else if (m === n) for (let i = 0; i < n; i += k) for (let j = 0; j < k; j++) out[i + j] = f(a[i + j], b[j]);
    else if (k === n) for (let i = 0; i < n; i += m) for (let j = 0; j < m; j++) out[i + j] = f(a[j], b[i + j]);
    else for (let i = 0; i < n; i++) out[i] = f(a[i % m], b[i % k]);
  }

  function select(which, otherwise, chosen, out) {
    const w = which.length, a = otherwise.length, b = chosen.length;
    for (let i = 0; i < out.length; i++) out[i] = which[i % w] ? chosen[i % b] : otherwise[i % a];
  }

  function reducedPrecision(x, out, dropped) {
    const from = new Int32Array(x.buffer, x.byteOffset, x.length), to = new Int32Array(out.buffer, out.byteOffset, out.length);
    const half = dropped ? (1 << (dropped - 1)) - 1 : 0, mask = ~((1 << dropped) - 1);
    for (let i = 0; i < from.length; i++) {
      const even = dropped ? (from[i] >> dropped) & 1 : 0; // to the nearest, ties to even
      to[i] = Number.isFinite(x[i]) ? (from[i] + half + even) & mask : from[i];
    }
  }

  // What a step does, as a function without arguments.
  function prepared(step, arrays, shapes) {
    const [x, y, z] = step.inputs.map((number) => arrays[number]), out = arrays[step.output];
    const [xShape, yShape] = step.inputs.map((number) => shapes[number]), shape = shapes[step.output];
    switch (step.operation) {
      case "reshape":
        return () => {};
      case "view":
        return () => view(x, out, shape, step.strides, step.offset);
      case "place": {
        const inputs = step.inputs.map((number) => [arrays[number], shapes[number]]);
        return () => {
          out.fill(Number(step.fill === "inf" ? Infinity : step.fill === "-inf" ? -Infinity : step.fill));
          inputs.forEach(([part, sizes], i) => place(part, out, sizes, step.parts[i].strides, step.parts[i].offset));
        };
      }
      case "select":
        return () => select(x, y, z, out);
      case "reduce":
        return () => reduce(COMBINE[step.by], START[step.by], x, out, step.count, step.inner);
      case "window": {
        const from = xShape[step.axis], to = shape[step.axis];
        return () => slide(COMBINE[step.by], START[step.by], x, out, from, to, step);
      }
      case "multiply": {
        const [batch, m, k] = xShape, n = yShape[2];
        return () => {
          for (let i = 0; i < batch; i++) product(x, i * m * k, m, k, y, i * k * n, n, n, out, i * m * n, n);
        };
      }
      case "convolve":
        return convolution(x, y, out, xShape, yShape, shape, step);
      case "reduce_precision":
        return () => reducedPrecision(x, out, step.dropped);
    }
    if (step.operation in ONE) return () => one(ONE[step.operation], x, out);
    if (step.operation in TWO) return () => two(TWO[step.operation], x, y, out);
    throw new Error(`unknown operation ${step.operation}`);
  }

  class Network {
    // plan: what Plan.packed() gave; constants: a Float32Array of all constants.
    constructor(plan, constants) {
      const shapes = plan.arrays.map((array) => array.shape);
      const shared = new Map(plan.steps.filter((s) => s.operation === "reshape").map((s) => [s.output, s.inputs[0]]));
      this.shapes = shapes;
      this.arrays = [];
      plan.arrays.forEach(({ shape, offset }, number) => {
        if (offset !== undefined) this.arrays.push(constants.subarray(offset, offset + size(shape)));
        else this.arrays.push(null);
      });
      const make = (number) => {
        if (this.arrays[number] === null) {
          this.arrays[number] = shared.has(number) ? make(shared.get(number)) : new Float32Array(size(shapes[number]));
        }
        return this.arrays[number];
      };
      plan.arrays.forEach((_, number) => make(number));
      this.input = plan.input;
      this.steps = plan.steps.map((step) => prepared(step, this.arrays, shapes));
    }

    // One forward pass, a step at each `next()`; the results then lie in `arrays`.
    *forward(stored) {
      this.arrays[this.input].set(stored);
      for (const step of this.steps) {
        step();
        yield;
      }
    }
  }

  return { Network };
})();
