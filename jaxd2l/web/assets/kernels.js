"use strict";
// What takes the time and what moves elements: products, convolutions, windows, views (see interpreter.js).

const kernels = (() => {
  const size = (shape) => shape.reduce((product, n) => product * n, 1);

  // Calls `row` with the place of every row of `shape`: in order, and by `strides` from `offset`.
  function rows(shape, strides, offset, row) {
    const last = shape.length - 1, index = new Array(Math.max(last, 0)).fill(0);
    if (size(shape) === 0) return;
    if (last < 0) return row(0, offset, 1, 0);
    const width = shape[last], step = strides[last];
    for (let at = 0, place = offset; ; at += width) {
      row(at, place, width, step);
      let axis = last - 1;
      for (; axis >= 0; axis--) {
        place += strides[axis];
        if (++index[axis] < shape[axis]) break;
        place -= strides[axis] * shape[axis];
        index[axis] = 0;
      }
      if (axis < 0) return;
    }
  }

  function view(x, out, shape, strides, offset) {
    rows(shape, strides, offset, (at, place, width, step) => {
      for (let i = 0; i < width; i++) out[at + i] = x[place + i * step];
    });
  }

  function place(x, out, shape, strides, offset) {
    rows(shape, strides, offset, (at, to, width, step) => {
      for (let i = 0; i < width; i++) out[to + i * step] = x[at + i];
    });
  }

  function reduce(f, start, x, out, count, inner) {
    for (let o = 0, at = 0; o < out.length; o += inner, at += count * inner) {
      for (let i = 0; i < inner; i++) {
        let total = start;
        for (let k = 0, from = at + i; k < count; k++, from += inner) total = f(total, x[from]);
        out[o + i] = total;
      }
    }
  }

  function slide(f, start, x, out, from, to, { inner, size: width, stride, low, dilation }) {
    const planes = out.length / (to * inner);
    for (let plane = 0; plane < planes; plane++) {
      for (let j = 0; j < to; j++) {
        for (let i = 0; i < inner; i++) {
          let total = start;
          for (let k = 0, at = j * stride - low; k < width; k++, at += dilation) {
            if (at >= 0 && at < from) total = f(total, x[(plane * from + at) * inner + i]);
          }
          out[(plane * to + j) * inner + i] = total;
        }
      }
    }
  }

  // out (m, n) = a (m, k) times b (k, n); rows of b and out stand `bRow` and `outRow` apart.
  function product(a, aAt, m, k, b, bAt, bRow, n, out, outAt, outRow) {
    const columns = n - (n % 4);
    let i = 0;
    for (; i + 4 <= m; i += 4) {
      const r0 = aAt + i * k, r1 = r0 + k, r2 = r1 + k, r3 = r2 + k;
      for (let j = 0; j < columns; j += 4) {
        let c00 = 0, c01 = 0, c02 = 0, c03 = 0, c10 = 0, c11 = 0, c12 = 0, c13 = 0;
        let c20 = 0, c21 = 0, c22 = 0, c23 = 0, c30 = 0, c31 = 0, c32 = 0, c33 = 0;
        for (let p = 0, q = bAt + j; p < k; p++, q += bRow) {
          const b0 = b[q], b1 = b[q + 1], b2 = b[q + 2], b3 = b[q + 3];
          const x0 = a[r0 + p], x1 = a[r1 + p], x2 = a[r2 + p], x3 = a[r3 + p];
          c00 += x0 * b0; c01 += x0 * b1; c02 += x0 * b2; c03 += x0 * b3;
          c10 += x1 * b0; c11 += x1 * b1; c12 += x1 * b2; c13 += x1 * b3;
          c20 += x2 * b0; c21 += x2 * b1; c22 += x2 * b2; c23 += x2 * b3;
          c30 += x3 * b0; c31 += x3 * b1; c32 += x3 * b2; c33 += x3 * b3;
        }
        let o = outAt + i * outRow + j;
        out[o] = c00; out[o + 1] = c01; out[o + 2] = c02; out[o + 3] = c03;
        o += outRow;
        out[o] = c10; out[o + 1] = c11; out[o + 2] = c12; out[o + 3] = c13;
        o += outRow;
        out[o] = c20; out[o + 1] = c21; out[o + 2] = c22; out[o + 3] = c23;
        o += outRow;
        out[o] = c30; out[o + 1] = c31; out[o + 2] = c32; out[o + 3] = c33;
      }
      for (let row = i; row < i + 4; row++) rest(a, aAt + row * k, k, b, bAt, bRow, columns, n, out, outAt + row * outRow);
    }
    for (; i < m; i++) rest(a, aAt + i * k, k, b, bAt, bRow, 0, n, out, outAt + i * outRow);
  }

  let sums = new Float64Array(64);

  // One row of a product, its columns from `first` to `n`: along the rows of b, which lie in one piece.
  function rest(a, aAt, k, b, bAt, bRow, first, n, out, outAt) {
    if (first >= n) return;
    if (sums.length < n) sums = new Float64Array(n);
    sums.fill(0, first, n);
    for (let p = 0, q = bAt; p < k; p++, q += bRow) {
      const x = a[aAt + p];
      if (x !== 0 || k < 64) for (let j = first; j < n; j++) sums[j] += x * b[q + j];
    }
    for (let j = first; j < n; j++) out[outAt + j] = sums[j];
  }

  const TILE = 64; // pixels whose windows are laid out side by side at a time

  function convolution(x, kernel, out, xShape, kShape, outShape, { strides, dilation, low, groups }) {
    const [images, h, w, c] = xShape, [kh, kw, depth, features] = kShape, [, oh, ow] = outShape;
    const k = kh * kw * depth, each = features / groups, pixels = oh * ow;
    const plain = kh * kw === 1 && groups === 1 && strides[0] * strides[1] === 1 && low[0] + low[1] === 0 && oh === h && ow === w;
    if (plain) return () => product(x, 0, images * pixels, k, kernel, 0, features, features, out, 0, features);
    const patches = new Float32Array(Math.min(TILE, pixels) * k);
    const gather = (image, group, first, count) => {
      for (let i = 0, to = 0; i < count; i++) {
        const row = Math.floor((first + i) / ow), column = (first + i) % ow;
        for (let ky = 0; ky < kh; ky++) {
          const y = row * strides[0] - low[0] + ky * dilation[0];
          for (let kx = 0; kx < kw; kx++, to += depth) {
            const at = column * strides[1] - low[1] + kx * dilation[1];
            if (y < 0 || y >= h || at < 0 || at >= w) {
              patches.fill(0, to, to + depth);
              continue;
            }
            const from = ((image * h + y) * w + at) * c + group * depth;
            for (let d = 0; d < depth; d++) patches[to + d] = x[from + d];
          }
        }
      }
    };
    return () => {
      for (let image = 0; image < images; image++) {
        for (let group = 0; group < groups; group++) {
          for (let first = 0; first < pixels; first += TILE) {
            const count = Math.min(TILE, pixels - first);
            gather(image, group, first, count);
            const to = (image * pixels + first) * features + group * each;
            product(patches, 0, count, k, kernel, group * each, features, each, out, to, features);
          }
        }
      }
    };
  }

  return { size, view, place, reduce, slide, product, convolution };
})();
