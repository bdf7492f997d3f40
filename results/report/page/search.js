// What stands in the search box, word by word: each word makes a test of hosts, of ports or of texts.

function parsed(text) {
  return text.trim().split(/\s+/).filter(Boolean).map(word).slice(0, 8);
}

function word(w) {
  const ports = /^:?(\d{1,5})(?:-(\d{1,5}))?$/.exec(w);
  if (ports) return { low: +ports[1], high: +(ports[2] ?? ports[1]) };
  const p4 = prefix4(w);
  if (p4) return { p4 };
  const p6 = w.includes(":") && prefix6(w);
  if (p6) return { p6 };
  return { text: w.toLowerCase() };
}

// 10.1.2.3, 10.1.2.0/24, and 10.1. or 10.1.2 for all that begins so.
function prefix4(w) {
  const m = /^(\d{1,3}(?:\.\d{1,3}){0,3})(\.?)(?:\/(\d{1,2}))?$/.exec(w);
  if (!m || !w.includes(".") && m[3] === undefined) return null;
  const octets = m[1].split(".").map(Number);
  if (octets.some((o) => o > 255) || octets.length === 4 && m[2] || m[3] > 32) return null;
  const bits = m[3] === undefined ? 8 * octets.length : +m[3];
  while (octets.length < 4) octets.push(0);
  const size = 2 ** (32 - bits), first = octets.reduce((a, o) => a * 256 + o, 0);
  const low = first - first % size;
  return { low, high: low + size - 1 };
}

function prefix6(w) {
  const [text, length, more] = w.split("/");
  const bits = length === undefined ? 128 : /^\d{1,3}$/.test(length) ? +length : NaN;
  const halves = text.split("::");
  if (more !== undefined || !(bits <= 128) || halves.length > 2) return null;
  const [left, right] = halves.map((h) => (h === "" ? [] : h.split(":")));
  const missing = 8 - left.length - (right?.length ?? 0);
  if (right === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...left, ...Array(right === undefined ? 0 : missing).fill("0"), ...(right ?? [])];
  if (!groups.every((g) => /^[0-9a-f]{1,4}$/i.test(g))) return null;
  return { bytes: groups.flatMap((g) => [parseInt(g, 16) >> 8, parseInt(g, 16) & 255]), bits };
}

function within6(bytes, p) {
  for (let i = 0, bits = p.bits; bits > 0; i++, bits -= 8) {
    const differ = bytes[i] ^ p.bytes[i];
    if (bits < 8 ? differ >> (8 - bits) : differ) return false;
  }
  return true;
}

// matching are the rows of a table that match all words, ascending.
function matching(table, words) {
  const tests = words.map((w) => rowTest(table, w));
  const rows = new Uint32Array(table.rows);
  let n = 0;
  for (let i = 0; i < table.rows; i++) if (tests.every((t) => t(i))) rows[n++] = i;
  return rows.subarray(0, n);
}

function rowTest(table, w) {
  if (w.low !== undefined) {
    const { refs, values } = table.columns.port;
    const fits = Array.from(values, (p) => p >= w.low && p <= w.high);
    return (row) => fits[refs[row]];
  }
  if (w.p4) {
    const { host, v4 } = table;
    return (row) => host[row] < v4.length && v4[host[row]] >= w.p4.low && v4[host[row]] <= w.p4.high;
  }
  if (w.p6) return (row) => table.host[row] >= table.v4.length && within6(table.bytes6(table.host[row]), w.p6);
  const columns = Object.values(table.columns).filter((c) => c instanceof Texts).map((c) => [c.refs, c.holding(w.text)]).filter(([, holds]) => holds.includes(1));
  return (row) => columns.some(([refs, holds]) => holds[refs[row]] === 1);
}
