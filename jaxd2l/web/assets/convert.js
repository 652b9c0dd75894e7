"use strict";
// A picture in the form of the data that the network was trained on: the rules of `jaxd2l predict`
// (jaxd2l/prediction/picture.py, own_picture.py), with Pillow's arithmetic.

const convert = (() => {
  const DIFFERENT = 26, MIDDLE = 128; // of 255, as in picture.py

  // A picture is {width, height, channels, data}, rows from the top, channels last, bytes.
  const blank = (width, height, channels) =>
    ({ width, height, channels, data: new Uint8Array(width * height * channels) });

  const grey = (r, g, b) => (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16; // ITU-R 601, as Pillow rounds

  // rgba: bytes as a canvas gives them. Puts what is transparent on white; on black where `byLight` and what shows is light.
  function opaque(rgba, width, height, byLight, steps) {
    const picture = blank(width, height, 3);
    let transparent = false, shown = 0, total = 0;
    for (let i = 0; i < rgba.length; i += 4) {
      if (rgba[i + 3] < 255) transparent = true;
      shown += grey(rgba[i], rgba[i + 1], rgba[i + 2]) * rgba[i + 3];
      total += rgba[i + 3];
    }
    const black = byLight && total > 0 && shown / total >= MIDDLE, ground = black ? 0 : 255;
    for (let i = 0, o = 0; i < rgba.length; i += 4) {
      const a = rgba[i + 3] / 255;
      for (let c = 0; c < 3; c++) picture.data[o++] = Math.round(rgba[i + c] * a + ground * (1 - a));
    }
    if (transparent) steps.push(`put on ${black ? "black" : "white"} where it is transparent`);
    return picture;
  }

  function inChannels(picture, channels) {
    if (picture.channels === channels) return picture;
    const made = blank(picture.width, picture.height, 1);
    for (let i = 0, o = 0; o < made.data.length; i += 3, o++) {
      made.data[o] = grey(picture.data[i], picture.data[i + 1], picture.data[i + 2]);
    }
    return made;
  }

  // The weights of one axis of a bilinear resize that averages over what it shrinks, in 22-bit fixed point.
  function weights(from, to, first, last) {
    const scale = Math.fround(last - first) / to, wide = Math.max(scale, 1), narrow = 1 / wide, found = [];
    for (let i = 0; i < to; i++) {
      const centre = first + (i + 0.5) * scale;
      const low = Math.max(0, Math.trunc(centre - wide + 0.5)), high = Math.min(from, Math.trunc(centre + wide + 0.5));
      const taps = [];
      let sum = 0;
      for (let x = low; x < high; x++) {
        const weight = Math.max(0, 1 - Math.abs((x - centre + 0.5) * narrow));
        taps.push(weight);
        sum += weight;
      }
      found.push({ low, taps: taps.map((tap) => Math.trunc(0.5 + (sum ? tap / sum : tap) * 4194304)) });
    }
    return found;
  }

  const byte = (sum) => Math.min(255, Math.max(0, Math.floor((sum + 2097152) / 4194304)));

  // box: [left, top, right, bottom] of the part that is resized; may be fractions of pixels.
  function resized(picture, width, height, box = [0, 0, picture.width, picture.height]) {
    const { channels } = picture, [left, top, right, bottom] = box.map(Math.fround);
    let from = picture;
    if (width !== picture.width || left !== 0 || right !== width) {
      const across = weights(picture.width, width, left, right);
      from = blank(width, picture.height, channels);
      for (let y = 0; y < picture.height; y++) {
        across.forEach(({ low, taps }, x) => {
          for (let c = 0; c < channels; c++) {
            let sum = 0;
            taps.forEach((tap, k) => { sum += tap * picture.data[(y * picture.width + low + k) * channels + c]; });
            from.data[(y * width + x) * channels + c] = byte(sum);
          }
        });
      }
    }
    if (height === picture.height && top === 0 && bottom === height) return from;
    const made = blank(width, height, channels), row = width * channels;
    weights(picture.height, height, top, bottom).forEach(({ low, taps }, y) => {
      for (let i = 0; i < row; i++) {
        let sum = 0;
        taps.forEach((tap, k) => { sum += tap * from.data[(low + k) * row + i]; });
        made.data[y * row + i] = byte(sum);
      }
    });
    return made;
  }

  function cropped(picture, [left, top, right, bottom]) {
    const { channels } = picture, made = blank(right - left, bottom - top, channels);
    for (let y = top; y < bottom; y++) {
      const start = (y * picture.width + left) * channels;
      made.data.set(picture.data.subarray(start, start + made.width * channels), (y - top) * made.width * channels);
    }
    return made;
  }

  // The outermost pixels, those of the corners twice, as numbers of the first byte.
  function border({ width, height, channels }) {
    const at = [];
    for (let x = 0; x < width; x++) at.push(x, (height - 1) * width + x);
    for (let y = 0; y < height; y++) at.push(y * width, y * width + width - 1);
    return at.map((pixel) => pixel * channels);
  }

  function median(values) {
    const sorted = values.slice().sort((a, b) => a - b), half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  }

  // round() of Python, ties to the even number.
  function round(x) {
    const below = Math.floor(x), rest = x - below;
    return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
  }

  function trimmed(picture, ground, fill, steps) {
    const { width, height, channels, data } = picture;
    const different = new Uint8Array(width * height);
    let [left, top, right, bottom] = [width, height, 0, 0];
    for (let i = 0; i < different.length; i++) {
      let most = 0;
      for (let c = 0; c < channels; c++) most = Math.max(most, Math.abs(data[i * channels + c] - Math.trunc(ground[c])));
      if (most <= DIFFERENT) continue;
      different[i] = 1;
      const x = i % width, y = (i - x) / width;
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
    }
    const edge = border(picture), even = 1 - edge.reduce((sum, at) => sum + different[at / channels], 0) / edge.length;
    if (even < 0.75) {
      steps.push(`shown whole, because only ${Math.round(100 * even)}% of its border is of one tone`);
      return [picture, 1];
    }
    if (right === 0) return [picture, 1];
    if (left || top || right !== width || bottom !== height) {
      steps.push(`trimmed to the ${right - left}x${bottom - top} pixels that differ from its ground`);
    }
    return [cropped(picture, [left, top, right, bottom]), fill];
  }

  function fitted(picture, ground, height, width, share, steps) {
    const scale = share * Math.min(width / picture.width, height / picture.height);
    const w = Math.max(1, round(picture.width * scale)), h = Math.max(1, round(picture.height * scale));
    let inside = picture;
    if (w !== picture.width || h !== picture.height) {
      steps.push(`resized from ${picture.width}x${picture.height} to ${w}x${h}`);
      inside = resized(picture, w, h);
    }
    if (w === width && h === height) return inside;
    steps.push(`put into the middle of ${width}x${height} pixels of its own ground`);
    const whole = blank(width, height, picture.channels), { channels } = picture;
    for (let i = 0; i < whole.data.length; i++) whole.data[i] = Math.trunc(ground[i % channels]);
    const x = Math.floor((width - w) / 2), y = Math.floor((height - h) / 2);
    for (let row = 0; row < h; row++) {
      const part = inside.data.subarray(row * w * channels, (row + 1) * w * channels);
      whole.data.set(part, ((y + row) * width + x) * channels);
    }
    return whole;
  }

  function inverted(picture) {
    for (let i = 0; i < picture.data.length; i++) picture.data[i] = 255 - picture.data[i];
  }

  // As the pictures of a user's own data were read: cut to the middle and resized.
  function likeOwn(picture, { height, width }, steps) {
    if (picture.width === width && picture.height === height) return picture;
    const wanted = width / height, found = picture.width / picture.height;
    const w = found > wanted ? wanted * picture.height : picture.width, h = found > wanted ? picture.height : picture.width / wanted;
    const left = (picture.width - w) * 0.5, top = (picture.height - h) * 0.5;
    steps.push(`cut to the middle and resized from ${picture.width}x${picture.height} to ${width}x${height}`);
    return resized(picture, width, height, [left, top, left + w, top + h]);
  }

  // rgba of width x height pixels as the network's stored example, and every step in words.
  // form: {height, width, channels, dark, fill, own}; invert: "auto", "yes" or "no".
  function stored(rgba, width, height, form, invert) {
    const steps = [];
    let picture = inChannels(opaque(rgba, width, height, !form.own, steps), form.channels);
    if (form.own) {
      picture = likeOwn(picture, form, steps);
      if (invert === "yes") {
        picture = { ...picture, data: picture.data.slice() };
        inverted(picture);
        steps.push("inverted, as asked");
      }
      return { picture, steps };
    }
    const asked = invert === "auto" && !form.dark ? "no" : invert, at = border(picture);
    const ground = Array.from({ length: form.channels }, (_, c) => median(at.map((place) => picture.data[place + c])));
    const tone = Math.trunc(median(ground));
    let share = 1;
    if (form.fill !== null && (width !== form.width || height !== form.height)) {
      [picture, share] = trimmed(picture, ground, form.fill, steps);
    }
    picture = fitted(picture, ground, form.height, form.width, share, steps);
    const turn = asked === "yes" || (asked === "auto" && tone >= MIDDLE);
    if (asked !== "auto") steps.push(turn ? "inverted, as asked" : "not inverted");
    else steps.push(`${turn ? "inverted, because its border is light" : "not inverted, because its border is dark"} (median ${tone} of 255)`);
    if (turn) inverted(picture);
    return { picture, steps };
  }

  return { stored };
})();
