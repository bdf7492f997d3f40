// The layers of the map: each gives every IPv4 host that matches a kind, 1 to 8, the one to see first the lowest, and says
// which colour and which words stand for it.

function layersOf(meta, { endpoints, changes, violations }, shown) {
  const c = endpoints.columns, layers = [];
  const byText = (column, names) => Uint8Array.from({ length: column.count }, (_, k) => names.indexOf(column.value(k)) + 1);
  const states = ["open", "closed", "filtered", "not open", "unknown"];
  layers.push({ title: "State", table: endpoints, rows: () => shown.endpoints, kinds: () => {
    const kind = byText(c.state, states);
    return { of: (row) => kind[c.state.refs[row]], words: states, colours: ["--open", "--closed", "--filtered", "--shut", "--unknown"] };
  } });
  layers.push({ title: "Age", table: endpoints, rows: () => shown.endpoints, kinds: () => {
    const newest = c.since.values.reduce((a, v) => Math.max(a, v), 0), days = [1, 7, 30, 180];
    const of = (row) => {
      const since = c.since.get(row);
      if (since === 0) return 6;
      const i = days.findIndex((n) => newest - since < n * 1440);
      return i < 0 ? 5 : i + 1;
    };
    return { of, words: ["first seen within a day of the newest", "within 7 days", "within 30 days", "within 180 days", "longer ago", "not known"], colours: ["--age1", "--age2", "--age3", "--age4", "--age5", "--unknown"] };
  } });
  layers.push({ title: "Service", table: endpoints, rows: () => shown.endpoints, kinds: () => {
    const counts = new Uint32Array(c.service.count);
    for (const row of shown.endpoints) counts[c.service.refs[row]]++;
    const top = Array.from(counts.keys()).filter((k) => counts[k] > 0 && c.service.value(k) !== "").sort((a, b) => counts[b] - counts[a]).slice(0, 6);
    // The rarer ones are to be seen beside the most frequent.
    const kind = new Uint8Array(c.service.count).fill(top.length + 1);
    top.reverse().forEach((k, i) => { kind[k] = i + 1; });
    return { of: (row) => kind[c.service.refs[row]], words: [...top.map((k) => c.service.value(k)), "others and not known"], colours: [...["--s1", "--s2", "--s3", "--s4", "--s5", "--s6"].slice(0, top.length), "--unknown"] };
  } });
  if (changes.rows > 0) layers.push({ title: "Changes", table: changes, rows: () => shown.changes, days: true, kinds: (from, to) => {
    const kind = byText({ count: changes.columns.kind.count, value: (k) => changeClass(changes.columns.kind.value(k)) }, ["opened", "ended", "other"]);
    return { of: (row) => { const at = changes.columns.to.get(row); return at < from || at >= to ? 0 : kind[changes.columns.kind.refs[row]]; },
      words: ["opened", "no longer open", "other"], colours: ["--open", "--closed", "--s4"] };
  } });
  if (meta.violations) layers.push({ title: "Violations", table: violations, rows: () => shown.violations, kinds: () => ({
    of: () => 1, words: ["violation"], colours: ["--bad"], under: true }) });
  return layers;
}

// points are the IPv4 hosts of rows with their places in a square, and each the first of its kinds; n counts the rows in the
// square by kind.
function pointsOf(table, rows, of, square) {
  if (table.placed !== square) Object.assign(table, { placed: square, places: placesOf(table, square) });
  const { from, to, x, y } = table.places, kind = new Uint8Array(to - from), n = new Uint32Array(9);
  for (const row of rows) {
    const host = table.host[row] - from;
    if (host < 0 || host >= kind.length) continue;
    const k = of(row);
    n[k]++;
    if (k > 0 && (kind[host] === 0 || k < kind[host])) kind[host] = k;
  }
  return { points: { x, y, kind }, n };
}

// placesOf are the places of the hosts in a square: from, to are their numbers.
function placesOf({ v4 }, square) {
  const from = lowest(v4.length, (i) => v4[i] >= square.base), to = lowest(v4.length, (i) => v4[i] > square.last);
  const x = new Uint16Array(to - from), y = new Uint16Array(to - from);
  for (let i = from; i < to; i++) [x[i - from], y[i - from]] = toXY(v4[i] - square.base, square.order);
  return { from, to, x, y };
}

function startMap(meta, tables, shown, choose) {
  const layers = layersOf(meta, tables, shown), { endpoints } = tables, { to } = tables.changes.columns;
  let layer = layers[0], days = [];
  const under = (p) => { $("under").textContent = prefixName(p) + ": " + inside(endpoints, p, shown.endpoints); };
  const viewed = (p) => { $("view").textContent = p.bits === map.square.bits ? "" : "in " + prefixName(p); };
  const map = new HilbertMap($("map"), meta.covered, under, choose, viewed);
  const refresh = () => {
    const day = +$("day").value, from = day === 0 ? 0 : days[day - 1] * 1440;
    $("days").hidden = !layer.days;
    $("day-name").textContent = day === 0 ? "all days" : moment(from).slice(0, 10);
    const { of, words, colours } = layer.kinds(from, day === 0 ? Infinity : from + 1440);
    const { points, n } = pointsOf(layer.table, layer.rows(), of, map.square);
    map.show(points, words.map((w, i) => [w, colours[i]]));
    $("legend").replaceChildren(...words.flatMap((w, i) => (n[i + 1] === 0 ? [] : [legend(colours[i], w, n[i + 1])])));
    if (meta.covered.length > 0) $("legend").append(legend("--asked", "asked"), legend("--hatched", "asked in part; the rest is unknown"));
  };
  for (const [i, s] of meta.squares.entries()) $("square").append(new Option(`${address4(s.base)}/${s.bits}`, i));
  for (const [i, l] of layers.entries()) $("layer").append(new Option(l.title, i));
  days = [...new Set(Array.from(to.values, (m) => Math.floor(m / 1440)))].sort((a, b) => a - b);
  $("day").max = days.length;
  const network = () => { map.map(squareOf(meta.squares[$("square").value])); viewed(map.around()); refresh(); };
  $("square").addEventListener("change", network);
  $("whole").addEventListener("click", () => map.look({ x: 0, y: 0, size: map.square.side }));
  $("closer").addEventListener("click", () => map.zoom(0.5, 0.5, 0.5));
  $("farther").addEventListener("click", () => map.zoom(2, 0.5, 0.5));
  $("layer").addEventListener("change", () => { layer = layers[$("layer").value]; refresh(); });
  $("day").addEventListener("input", refresh);
  const notes = [];
  if (meta.covered.length === 0) notes.push("Which of the addresses were asked is not in the data: what is empty here may not have been asked.");
  if (meta.hosts6 > 0) notes.push(`${grouped(meta.hosts6)} IPv6 hosts with open ports are in the tables only.`);
  $("map-note").textContent = notes.join(" ");
  $("mapped").hidden = false;
  network();
  return { refresh };
}

function prefixName(p) { return address4(p.low) + (p.bits === 32 ? "" : "/" + p.bits); }

function legend(colour, words, n) {
  const key = element("span"), li = element("li", key, n === undefined ? words : `${words}: ${grouped(n)}`);
  key.className = "key " + colour.slice(2);
  return li;
}

// inside says what is in a prefix, in words.
function inside(table, p, rows) {
  const { host, v4 } = table, states = new Map();
  let hosts = 0, last = -1;
  for (let i = lowest(rows.length, (i) => host[rows[i]] >= v4.length || v4[host[rows[i]]] >= p.low); i < rows.length && host[rows[i]] < v4.length && v4[host[rows[i]]] <= p.high; i++) {
    if (host[rows[i]] !== last) { hosts++; last = host[rows[i]]; }
    const state = table.columns.state.get(rows[i]);
    states.set(state, (states.get(state) ?? 0) + 1);
  }
  if (hosts === 0) return "nothing known";
  return `${grouped(hosts)} ${hosts === 1 ? "host" : "hosts"}; ports: ` + Array.from(states, ([s, n]) => `${grouped(n)} ${s}`).join(", ");
}

// lowest is the least i in [0, n) for which reached(i), or n.
function lowest(n, reached) {
  let low = 0, high = n;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (reached(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
