// The map: a prefix of even length, 2^n × 2^n addresses, on a Hilbert curve that begins in the upper left corner. Every
// prefix of even length in it is a square. A view is a square of cells, of which each is an address. What is drawn are bins, aligned
// squares of 2^k × 2^k cells, so that each is a prefix that can be named.

// toXY: Hacker's Delight, chapter 16. From the highest pair of bits to the lowest, turning the axes on the way.
function toXY(offset, order) {
  let x = 0, y = 0, swap = false, flip = false;
  for (let shift = 2 * order - 2; shift >= 0; shift -= 2) {
    const quarter = (offset >>> shift) & 3;
    let u = quarter >> 1, v = (quarter >> 1) ^ (quarter & 1);
    if (swap) [u, v] = [v, u];
    if (flip) { u ^= 1; v ^= 1; }
    x = x * 2 + u;
    y = y * 2 + v;
    if (quarter === 0) swap = !swap;
    if (quarter === 3) { swap = !swap; flip = !flip; }
  }
  return [x, y];
}

// toOffset is the inverse.
function toOffset(x, y, order) {
  let offset = 0, swap = false, flip = false;
  for (let shift = order - 1; shift >= 0; shift--) {
    let u = (x >>> shift) & 1, v = (y >>> shift) & 1;
    if (flip) { u ^= 1; v ^= 1; }
    if (swap) [u, v] = [v, u];
    const quarter = u * 2 + (u ^ v);
    offset = offset * 4 + quarter;
    if (quarter === 0) swap = !swap;
    if (quarter === 3) { swap = !swap; flip = !flip; }
  }
  return offset;
}

// A square is the prefix that a map shows: its first address, the order of its curve, and how many cells it is wide.
function squareOf({ base, bits }) {
  const order = (32 - bits) / 2;
  return { base, bits, order, side: 2 ** order, last: base + 4 ** order - 1 };
}

// parts are the one or two squares of cells that a prefix is on the map of a square; all of it where it is larger.
function parts(square, base, bits) {
  if (base > square.last || base + 2 ** (32 - bits) - 1 < square.base) return [];
  if (32 - bits >= 2 * square.order) return [{ x: 0, y: 0, side: square.side }];
  if (bits % 2) return [...parts(square, base, bits + 1), ...parts(square, base + 2 ** (31 - bits), bits + 1)];
  const side = 2 ** ((32 - bits) / 2), [x, y] = toXY(base - square.base, square.order);
  return [{ x: x - x % side, y: y - y % side, side }];
}

class HilbertMap {
  constructor(canvas, covered, tell, choose, viewed) {
    Object.assign(this, { canvas, tell, choose, viewed, covered });
    this.points = { x: new Uint16Array(0), y: new Uint16Array(0), kind: new Uint8Array(0) };
    this.cross = null;
    this.listen();
  }

  // map shows all of a square.
  map(square) {
    this.square = square;
    this.asked = this.covered.flatMap((c) => parts(square, c.base, c.bits).map((p) => ({ ...p, asked: c.asked })));
    this.view = { x: 0, y: 0, size: square.side };
  }

  // show draws points, each of a kind, by an index of colours, 0 for none; the lower kinds cover the higher.
  show(points, colours) {
    Object.assign(this, { points, colours, filled: null });
    this.draw();
  }

  look(view) {
    const { side } = this.square, size = Math.min(side, Math.max(4, view.size));
    const inside = (v) => Math.min(side - size, Math.max(0, v));
    this.view = { x: inside(view.x), y: inside(view.y), size };
    this.viewed(this.around());
    this.draw();
  }

  // around is the smallest prefix that has all of the view in it.
  around() {
    const { x, y, size } = this.view, ends = [x, x + size - 1].flatMap((u) => [y, y + size - 1].map((v) => this.address(Math.floor(u), Math.floor(v), 1)));
    const low = Math.min(...ends), high = Math.max(...ends);
    let bits = 32;
    while (Math.floor(low / 2 ** (32 - bits)) !== Math.floor(high / 2 ** (32 - bits))) bits--;
    return { low: low - low % 2 ** (32 - bits), bits };
  }

  zoom(factor, px, py) {
    const { x, y, size } = this.view, next = Math.min(this.square.side, Math.max(4, size * factor));
    this.look({ x: x + px * (size - next), y: y + py * (size - next), size: next });
  }

  // bin is how many cells a bin is wide: bins are as small as can be seen, larger where few addresses would be lost.
  bin(width) {
    const dot = this.points.x.length < 3000 ? 4 : 1.5;
    return 2 ** Math.max(0, Math.ceil(Math.log2(dot * this.view.size / width)));
  }

  draw() {
    const { canvas, view } = this;
    if (!view || !canvas.clientWidth) return;
    const width = canvas.clientWidth, ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(width * ratio);
    const g = canvas.getContext("2d"), css = getComputedStyle(canvas), scale = width / view.size;
    g.scale(ratio, ratio);
    g.fillStyle = css.getPropertyValue("--ground");
    g.fillRect(0, 0, width, width);
    this.drawCovered(g, css, scale, width);
    this.drawBins(g, css, scale, width);
    this.drawNames(g, css, scale, width);
    if (this.cross && document.activeElement === canvas) {
      g.strokeStyle = css.getPropertyValue("--ink");
      g.beginPath();
      g.moveTo(this.cross.x - 9, this.cross.y); g.lineTo(this.cross.x + 9, this.cross.y);
      g.moveTo(this.cross.x, this.cross.y - 9); g.lineTo(this.cross.x, this.cross.y + 9);
      g.stroke();
    }
  }

  drawCovered(g, css, scale, width) {
    for (const c of this.asked) {
      const x = (c.x - this.view.x) * scale, y = (c.y - this.view.y) * scale, side = Math.max(1, c.side * scale);
      if (x > width || y > width || x + side < 0 || y + side < 0) continue;
      g.fillStyle = css.getPropertyValue("--asked");
      g.fillRect(x, y, side, side);
      if (c.asked === 100) continue;
      g.fillStyle = hatch(g, css.getPropertyValue("--line"));
      g.fillRect(x, y, side, side);
    }
  }

  drawBins(g, css, scale, width) {
    const { x, y, kind } = this.points, { view } = this, k = this.bin(width);
    const x0 = Math.floor(view.x / k), y0 = Math.floor(view.y / k), across = Math.floor((view.x + view.size - 1e-9) / k) - x0 + 1;
    const best = new Uint8Array(across * across), number = new Uint32Array(across * across);
    let most = 1;
    for (let i = 0; i < x.length; i++) {
      const u = Math.floor(x[i] / k) - x0, v = Math.floor(y[i] / k) - y0;
      if (u < 0 || v < 0 || u >= across || v >= across || kind[i] === 0) continue;
      const at = v * across + u;
      if (best[at] === 0 || kind[i] < best[at]) best[at] = kind[i];
      most = Math.max(most, ++number[at]);
    }
    const image = new ImageData(across, across), rgb = this.colours.map(([, name]) => rgbOf(css.getPropertyValue(name)));
    const dense = Math.log2(1 + most);
    for (let at = 0; at < best.length; at++) {
      if (best[at] === 0) continue;
      image.data.set(rgb[best[at] - 1], 4 * at);
      image.data[4 * at + 3] = k === 1 || most < 3 ? 255 : 255 * (0.45 + 0.55 * Math.log2(1 + number[at]) / dense);
    }
    const small = document.createElement("canvas");
    small.width = small.height = across;
    small.getContext("2d").putImageData(image, 0, 0);
    g.imageSmoothingEnabled = false;
    g.drawImage(small, (x0 * k - view.x) * scale, (y0 * k - view.y) * scale, across * k * scale, across * k * scale);
  }

  // drawNames draws the borders of prefixes that are large enough for their name, or of addresses.
  drawNames(g, css, scale, width) {
    const { view } = this, single = scale >= 30;
    let side = 1;
    while (side * scale < (single ? 1 : 132) && side < this.square.side) side *= 2;
    const bits = 32 - 2 * Math.log2(side);
    for (const step of scale >= 7 && side > 1 ? [1, side] : [side]) {
      g.strokeStyle = css.getPropertyValue(step === side && !single ? "--line" : "--page");
      g.lineWidth = 1;
      g.beginPath();
      for (let at = Math.ceil(view.x / step) * step; at <= view.x + view.size; at += step) { g.moveTo((at - view.x) * scale, 0); g.lineTo((at - view.x) * scale, width); }
      for (let at = Math.ceil(view.y / step) * step; at <= view.y + view.size; at += step) { g.moveTo(0, (at - view.y) * scale); g.lineTo(width, (at - view.y) * scale); }
      g.stroke();
    }
    g.font = css.getPropertyValue("--small") + " " + css.fontFamily;
    g.textBaseline = "top";
    for (let x = Math.floor(view.x / side) * side; x < view.x + view.size; x += side) {
      for (let y = Math.floor(view.y / side) * side; y < view.y + view.size; y += side) {
        const address = this.address(x, y, side), name = address4(address);
        const left = Math.max(0, (x - view.x) * scale) + 4, top = Math.max(0, (y - view.y) * scale) + 4;
        if (single) this.nameOne(g, css, x, y, scale >= 110 ? name : name.slice(name.lastIndexOf(".")), left, top);
        else label(g, css, `${name}/${bits}`, left, top);
      }
    }
  }

  // nameOne names an address in its own cell, in a colour that can be read there.
  nameOne(g, css, u, v, name, left, top) {
    const { x, y, kind } = this.points;
    this.filled ??= new Map(Array.from(x, (_, i) => [x[i] * 65536 + y[i], kind[i]]));
    const fill = this.filled.get(u * 65536 + v);
    g.fillStyle = fill ? readable(rgbOf(css.getPropertyValue(this.colours[fill - 1][1]))) : css.getPropertyValue("--quiet");
    g.fillText(name, left, top);
  }

  // prefixAt is the prefix of the bin under a point of the canvas.
  prefixAt(px, py) {
    const width = this.canvas.clientWidth, k = this.bin(width), { view } = this;
    const low = this.address(Math.floor(view.x + px / width * view.size), Math.floor(view.y + py / width * view.size), k);
    return { low, high: low + k * k - 1, bits: 32 - 2 * Math.log2(k) };
  }

  // address is the first one of the aligned square of so many cells that a cell is in.
  address(x, y, side) {
    const last = this.square.side - 1, offset = toOffset(Math.min(last, Math.max(0, x)), Math.min(last, Math.max(0, y)), this.square.order);
    return this.square.base + offset - offset % (side * side);
  }

  listen() {
    const { canvas } = this;
    let down = null, moved = false;
    const at = (e) => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      const [x, y] = at(e);
      this.zoom(e.deltaY > 0 ? 1.25 : 0.8, x / canvas.clientWidth, y / canvas.clientWidth);
    }, { passive: false });
    canvas.addEventListener("pointerdown", (e) => { down = { at: at(e), view: this.view }; moved = false; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointermove", (e) => {
      const [x, y] = at(e);
      if (!down) { this.tell(this.prefixAt(x, y)); return; }
      const dx = x - down.at[0], dy = y - down.at[1], per = this.view.size / canvas.clientWidth;
      if (!moved && Math.hypot(dx, dy) < 4) return;
      moved = true;
      this.look({ x: down.view.x - dx * per, y: down.view.y - dy * per, size: down.view.size });
    });
    canvas.addEventListener("pointerup", (e) => { if (down && !moved) this.choose(this.prefixAt(...at(e))); down = null; });
    canvas.addEventListener("pointercancel", () => { down = null; });
    canvas.addEventListener("keydown", (e) => this.key(e));
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) this.point(); });
    canvas.addEventListener("blur", () => { this.cross = null; this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas);
    for (const [event, on] of [["beforeprint", true], ["afterprint", false]]) {
      addEventListener(event, () => { document.documentElement.classList.toggle("printing", on); this.draw(); });
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // point puts the cross, which keys use, in the middle.
  point() {
    const middle = this.canvas.clientWidth / 2;
    this.cross = { x: middle, y: middle };
    this.draw();
    this.tell(this.prefixAt(middle, middle));
  }

  key(e) {
    const { x, y, size } = this.view, step = Math.max(1, size / 16);
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (moves[e.key]) this.look({ x: x + moves[e.key][0], y: y + moves[e.key][1], size });
    else if (e.key === "+" || e.key === "=") this.zoom(0.5, 0.5, 0.5);
    else if (e.key === "-") this.zoom(2, 0.5, 0.5);
    else if (e.key === "Enter" && this.cross) this.choose(this.prefixAt(this.cross.x, this.cross.y));
    else return;
    e.preventDefault();
    this.point();
  }
}

// label writes on a ground of its own.
function label(g, css, text, left, top) {
  g.fillStyle = css.getPropertyValue("--label");
  g.fillRect(left - 2, top - 2, g.measureText(text).width + 4, 15);
  g.fillStyle = css.getPropertyValue("--ink");
  g.fillText(text, left, top);
}

// hatch is a pattern of slanted lines.
function hatch(g, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const t = tile.getContext("2d");
  t.strokeStyle = colour;
  t.beginPath();
  t.moveTo(0, 6); t.lineTo(6, 0);
  t.stroke();
  return g.createPattern(tile, "repeat");
}

function rgbOf(colour) {
  const n = parseInt(colour.trim().slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

// readable is black or white, whichever has more contrast to a colour (WCAG 2.2, relative luminance).
function readable(rgb) {
  const [r, g, b] = rgb.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
}
