"use strict";
// The results inside the network as pictures: each layer a canvas with its feature maps side by side.

const inside = (() => {
  const MOST_MAPS = 32; // of one layer
  const FEW = 400000; // pixels: so many are painted at once, in sight or not

  function laidOut(name, shape, item) {
    const maps = shape.length === 4;
    const count = maps ? shape[3] : shape.slice(1).reduce((a, b) => a * b, 1), kept = maps ? Math.min(count, MOST_MAPS) : count;
    const few = kept < count ? `${kept} of ${count}` : String(count), many = count === 1 ? "" : "s";
    const words = maps ? `${few} map${many} of ${shape[1]}\u00d7${shape[2]}` : `${count} unit${many}`;
    const title = item.appendChild(document.createElement("strong")), line = item.appendChild(document.createElement("span"));
    title.textContent = name;
    line.textContent = words;
    line.className = "quiet";
    const picture = item.appendChild(document.createElement("canvas"));
    const wide = maps ? Math.max(4, Math.ceil(Math.sqrt(kept * 1.6))) : Math.max(10, Math.ceil(Math.sqrt(kept * 6)));
    const columns = Math.min(kept, wide), rows = Math.ceil(kept / columns);
    const [h, w] = maps ? shape.slice(1, 3) : [1, 1], gap = maps ? 1 : 0;
    [picture.width, picture.height] = [columns * (w + gap) - gap, rows * (h + gap) - gap];
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", `${name}: ${words}, for what is drawn`);
    return { maps, count, kept, columns, w, h, gap, picture };
  }

  function paint({ maps, count, kept, columns, w, h, gap, picture }, values) {
    const to = picture.getContext("2d"), image = to.createImageData(picture.width, picture.height);
    let low = Infinity, high = -Infinity;
    for (const value of values || []) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const stretch = high > low ? 255 / (high - low) : 0;
    for (let map = 0; values && map < kept; map++) {
      const left = (map % columns) * (w + gap), top = Math.floor(map / columns) * (h + gap);
      for (let y = 0; y < h; y++) {
        for (let x = 0; x < w; x++) {
          const o = 4 * ((top + y) * picture.width + left + x);
          const tone = (values[maps ? (y * w + x) * count + map : map] - low) * stretch;
          image.data[o] = image.data[o + 1] = image.data[o + 2] = tone;
          image.data[o + 3] = 255;
        }
      }
    }
    to.putImageData(image, 0, 0);
  }

  // Shows layers in a list; the result paints them, those in sight at once and others when they come into sight.
  // values: number of an array to its values, or null while there is nothing to show.
  function shownIn(list, layers, arrays, values) {
    const shown = layers.map(({ number, name }) => {
      const item = list.appendChild(document.createElement("li"));
      return { number, visible: true, stale: false, ...laidOut(name, arrays[number].shape, item) };
    });
    const all = shown.reduce((sum, { picture }) => sum + picture.width * picture.height, 0) <= FEW;
    const refresh = (layer) => {
      layer.stale = !layer.visible && !all;
      if (!layer.stale) paint(layer, values(layer.number));
    };
    const sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const layer = shown.find(({ picture }) => picture === target);
        layer.visible = isIntersecting;
        if (layer.visible && layer.stale) refresh(layer);
      }
    }, { rootMargin: "200px" });
    for (const { picture } of shown) sight.observe(picture);
    return () => shown.forEach(refresh);
  }

  return { shownIn };
})();
