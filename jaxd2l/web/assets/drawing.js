"use strict";
// The canvas that one draws on: mouse, finger, pen and arrow keys; clear and undo.

const drawing = (() => {
  const at = (id) => document.getElementById(id);
  const canvas = at("draw"), paper = canvas.getContext("2d", { willReadFrequently: true });
  const history = [];
  let source = null, empty = true, pen = null; // source: a chosen picture that nobody has drawn on yet
  let ground = "#ffffff", changed = () => {};

  function wipe() {
    paper.fillStyle = ground;
    paper.fillRect(0, 0, canvas.width, canvas.height);
    source = null;
    empty = true;
  }

  function remember() {
    history.push({ pixels: paper.getImageData(0, 0, canvas.width, canvas.height), source, empty });
    if (history.length > 20) history.shift();
  }

  function undo() {
    const last = history.pop();
    if (!last) return;
    paper.putImageData(last.pixels, 0, 0);
    ({ source, empty } = last);
    changed();
  }

  const erases = () => at("eraser").getAttribute("aria-pressed") === "true";

  function stroke(from, to, width) {
    paper.strokeStyle = erases() ? ground : at("ink").value;
    paper.lineWidth = width;
    paper.lineCap = paper.lineJoin = "round";
    paper.beginPath();
    paper.moveTo(from.x, from.y);
    paper.lineTo(to.x, to.y);
    paper.stroke();
    source = null;
    empty = false;
    changed();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * canvas.width;
    const y = ((event.clientY - box.top) / box.height) * canvas.height;
    return { x, y, width: at("brush").value * (event.pointerType === "pen" && event.pressure ? 0.5 + event.pressure : 1) };
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pen || event.button !== 0) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true, focusVisible: false });
    canvas.setPointerCapture(event.pointerId);
    remember();
    pen = { id: event.pointerId, ...place(event) };
    stroke(pen, pen, pen.width);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pen || pen.id !== event.pointerId) return;
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const one of events.length ? events : [event]) {
      const next = place(one);
      stroke(pen, next, next.width);
      Object.assign(pen, next);
    }
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { pen = null; });

  const cursor = { x: canvas.width / 2, y: canvas.height / 2 };
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way) return;
    event.preventDefault();
    const inside = (value, most) => Math.min(most, Math.max(0, value));
    const next = { x: inside(cursor.x + 8 * way[0], canvas.width), y: inside(cursor.y + 8 * way[1], canvas.height) };
    if (event.shiftKey) {
      if (!event.repeat) remember();
      stroke(cursor, next, Number(at("brush").value));
    }
    Object.assign(cursor, next);
  });

  // A picture in the middle of the canvas; the network gets it as it is until somebody draws on it.
  function put(bitmap, pixels) {
    const { width, height } = bitmap, scale = Math.min(canvas.width / width, canvas.height / height);
    const w = width * scale, h = height * scale;
    remember();
    wipe();
    paper.drawImage(bitmap, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
    source = { pixels, width, height };
    empty = false;
    changed();
  }

  function begin(form, whenChanged) {
    canvas.height = Math.round((canvas.width * form.height) / form.width);
    ground = form.dark ? "#000000" : "#ffffff";
    at("ink").value = form.dark ? "#ffffff" : "#000000";
    changed = whenChanged;
    wipe();
  }

  function shown() {
    const { width, height } = canvas;
    return source || { pixels: paper.getImageData(0, 0, width, height).data, width, height };
  }

  at("clear").addEventListener("click", () => { remember(); wipe(); changed(); });
  at("undo").addEventListener("click", undo);
  at("eraser").addEventListener("click", () => at("eraser").setAttribute("aria-pressed", String(!erases())));
  at("brush").addEventListener("input", () => { at("brush-size").value = at("brush").value; });
  at("brush-size").value = at("brush").value;
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); undo(); }
  });

  return { begin, put, shown, isEmpty: () => empty };
})();
