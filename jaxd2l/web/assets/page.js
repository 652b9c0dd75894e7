"use strict";
// The page itself: what is drawn or chosen goes through `convert` and the network, and is shown.

const page = (() => {
  const SLICE = 12; // milliseconds of work between two frames
  const at = (id) => document.getElementById(id);
  const about = JSON.parse(at("network").textContent);
  const { form, classes } = about, [, , probabilities] = about.outputs;
  let network = null;

  function made(tag, parent, text = "", className = "") {
    const element = parent.appendChild(document.createElement(tag));
    element.textContent = text; // never markup: a class may be called like a tag
    if (className) element.className = className;
    return element;
  }

  function constants() {
    const holder = at("weights"), text = holder.textContent, bytes = new Uint8Array((text.length / 4) * 3), part = 1 << 20;
    let length = 0;
    for (let first = 0; first < text.length; first += part) {
      const some = atob(text.slice(first, first + part));
      for (let i = 0; i < some.length; i++) bytes[length++] = some.charCodeAt(i);
    }
    holder.remove(); // it need not lie in memory twice
    return new Float32Array(bytes.buffer, 0, length >> 2);
  }

  // A picture.

  async function choose(file) {
    at("problem").textContent = "";
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
      const { width, height } = bitmap, whole = new OffscreenCanvas(width, height).getContext("2d");
      whole.drawImage(bitmap, 0, 0);
      const pixels = whole.getImageData(0, 0, width, height).data;
      drawing.put(bitmap, pixels);
    } catch (error) {
      at("problem").textContent = `${file.name || "what was pasted"} cannot be read as a picture; try PNG, JPEG or WebP.`;
    }
  }

  // Answers.

  let stale = false, work = null, began = 0;

  function changed() {
    stale = true;
    if (!work && network) requestAnimationFrame(go);
  }

  function begin() {
    stale = false;
    at("waiting").hidden = !drawing.isEmpty();
    if (drawing.isEmpty()) return show(null);
    const { pixels, width, height } = drawing.shown();
    const { picture, steps } = convert.stored(pixels, width, height, form, at("invert").value);
    showSeen(picture, steps);
    began = performance.now();
    work = network.forward(picture.data);
  }

  function go() {
    if (!work && stale) begin();
    const end = performance.now() + SLICE;
    while (work && performance.now() < end) {
      if (work.next().done) {
        work = null;
        show(performance.now() - began);
      }
    }
    if (work || stale) requestAnimationFrame(go);
  }

  function best(count) {
    const shares = Array.from(network.arrays[probabilities]);
    const order = shares.map((_, label) => label).sort((a, b) => shares[b] - shares[a] || a - b);
    return order.slice(0, count).map((label) => ({ label, name: classes[label], share: shares[label] }));
  }

  function show(milliseconds) {
    const list = at("answer");
    list.replaceChildren();
    if (milliseconds === null) {
      at("time").textContent = "";
      showSeen(null, []);
    } else {
      for (const { name, share } of best(3)) {
        const item = made("li", list), line = made("div", item, "", "name");
        made("span", line, name);
        made("span", line, `${(100 * share).toFixed(1)}%`, "share");
        made("div", made("div", item, "", "bar")).style.width = `${100 * share}%`;
      }
      at("time").textContent = `One forward pass took ${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms.`;
    }
    paint();
  }

  function showSeen(picture, steps) {
    const seen = at("seen");
    [seen.width, seen.height] = picture ? [picture.width, picture.height] : [form.width, form.height];
    const to = seen.getContext("2d"), image = to.createImageData(seen.width, seen.height);
    for (let i = 0; picture && i < seen.width * seen.height; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = picture.data[i * picture.channels + (picture.channels === 3 ? c : 0)];
      image.data[4 * i + 3] = 255;
    }
    to.putImageData(image, 0, 0);
    seen.setAttribute("aria-label", picture ? `The picture of ${form.width} by ${form.height} pixels that the network was given` : "Nothing yet");
    at("steps").replaceChildren();
    for (const step of steps) made("li", at("steps"), step);
  }

  // Controls.

  at("invert").addEventListener("change", changed);
  at("file").addEventListener("change", () => choose(at("file").files[0]).then(() => { at("file").value = ""; }));
  document.addEventListener("paste", (event) => choose([...event.clipboardData.files][0]));
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      document.body.classList.toggle("dropping", kind === "dragover");
      if (kind === "drop") choose(event.dataTransfer.files[0]);
    });
  }

  const paint = inside.shownIn(at("layers"), about.layers, about.plan.arrays,
    (number) => (network && !drawing.isEmpty() ? network.arrays[number] : null));
  drawing.begin(form, changed);
  showSeen(null, []);
  setTimeout(() => { // the page shows itself before the weights are unpacked
    network = new interpreter.Network(about.plan, constants());
    changed();
  });

  // One pass over stored bytes at once: what tests ask.
  function run(bytes) {
    for (const _ of network.forward(bytes));
    return best(3);
  }

  return { run, choose, ready: () => network !== null, busy: () => work !== null || stale, array: (number) => network.arrays[number] };
})();
