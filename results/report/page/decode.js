// The payload, as pack.go writes it: varints and texts by columns.

async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const reader = { bytes, at: 0 };
  const size = varint(reader);
  const meta = JSON.parse(new TextDecoder().decode(take(reader, size)));
  const tables = {};
  for (const t of meta.tables) tables[t.name] = new Table(t, reader);
  if (reader.at !== bytes.length) throw new Error("the payload is longer than its tables");
  return { meta, tables };
}

function varint(r) {
  let v = 0, scale = 1;
  for (;;) {
    if (r.at >= r.bytes.length) throw new Error("the payload is cut");
    const b = r.bytes[r.at++];
    v += (b & 127) * scale;
    if (b < 128) return v;
    scale *= 128;
  }
}

function take(r, n) {
  const piece = r.bytes.subarray(r.at, r.at + n);
  if (piece.length !== n) throw new Error("the payload is cut");
  r.at += n;
  return piece;
}

function varints(bytes, n) {
  const r = { bytes, at: 0 }, all = new Float64Array(n);
  for (let i = 0; i < n; i++) all[i] = varint(r);
  return all;
}

// A table: host[row] is a row's address by its number, those of IPv4 first: v4[host], or 16 bytes of v6.
class Table {
  constructor(meta, reader) {
    this.name = meta.name;
    this.rows = meta.rows;
    this.host = new Uint32Array(meta.rows);
    const v4 = [], steps = { bytes: take(reader, meta.addr), at: 0 };
    let address = 0, host = -1;
    for (let i = 0; i < meta.rows4; i++) {
      const step = varint(steps);
      if (i === 0 || step > 0) { address += step; v4.push(address); host++; }
      this.host[i] = host;
    }
    for (let i = meta.rows4; i < meta.rows; i++) this.host[i] = host += varint(steps);
    this.v4 = Uint32Array.from(v4);
    this.v6 = take(reader, meta.addr6);
    this.hosts = this.v4.length + this.v6.length / 16;
    this.columns = {};
    for (const c of meta.columns) this.columns[c.name] = c.parts.length === 2 ? new Numbers(c, meta.rows, reader) : new Texts(c, meta.rows, reader);
  }

  address(host) {
    if (host < this.v4.length) return address4(this.v4[host]);
    return address6(this.bytes6(host));
  }

  bytes6(host) {
    const at = 16 * (host - this.v4.length);
    return this.v6.subarray(at, at + 16);
  }
}

// refs are the indices of values by row; the packer's 0 is the next one that is new.
function refs(bytes, rows) {
  const r = { bytes, at: 0 }, all = new Uint32Array(rows);
  let next = 0;
  for (let i = 0; i < rows; i++) {
    const v = varint(r);
    all[i] = v === 0 ? next++ : v - 1;
  }
  return all;
}

class Numbers {
  constructor(meta, rows, reader) {
    this.refs = refs(take(reader, meta.parts[0]), rows);
    this.values = varints(take(reader, meta.parts[1]), meta.count);
  }

  get(row) { return this.values[this.refs[row]]; }
}

class Texts {
  constructor(meta, rows, reader) {
    this.refs = refs(take(reader, meta.parts[0]), rows);
    const sizes = varints(take(reader, meta.parts[1]), meta.count);
    this.ends = new Uint32Array(meta.count);
    let end = 0;
    for (let i = 0; i < meta.count; i++) this.ends[i] = end += sizes[i];
    this.bytes = take(reader, meta.parts[2]);
  }

  get count() { return this.ends.length; }

  value(k) { return decoder.decode(this.bytes.subarray(k === 0 ? 0 : this.ends[k - 1], this.ends[k])); }

  get(row) { return this.value(this.refs[row]); }

  // rank[k] is the place of the value k in alphabetical order.
  rank() {
    if (this.ranks) return this.ranks;
    const values = Array.from(this.ends, (_, k) => this.value(k));
    const order = Uint32Array.from(values.keys()).sort((a, b) => (values[a] < values[b] ? -1 : values[a] > values[b] ? 1 : 0));
    this.ranks = new Uint32Array(values.length);
    order.forEach((k, place) => { this.ranks[k] = place; });
    return this.ranks;
  }

  // holding[k] is 1 where the value k has the words in it, upper case or lower.
  holding(words) {
    this.lower ??= Array.from(this.ends, (_, k) => this.value(k).toLowerCase());
    return Uint8Array.from(this.lower, (v) => (v.includes(words) ? 1 : 0));
  }
}

const decoder = new TextDecoder();

function address4(v) { return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`; }

// RFC 5952: the first longest run of at least two zero groups is left out.
function address6(b) {
  const groups = Array.from({ length: 8 }, (_, i) => b[2 * i] * 256 + b[2 * i + 1]);
  let best = -1, length = 1;
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > length) { best = i; length = n; }
  }
  const hex = groups.map((g) => g.toString(16));
  if (best < 0) return hex.join(":");
  return hex.slice(0, best).join(":") + "::" + hex.slice(best + length).join(":");
}

// minutes since the Unix epoch, as the summary has them; 0 is not known.
function moment(minutes) {
  if (minutes === 0) return "";
  return new Date(minutes * 60000).toISOString().slice(0, 16).replace("T", " ");
}

function grouped(n) { return n.toLocaleString("en-US"); }
