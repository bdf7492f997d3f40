// Tables: pages of rows, sorted by a column, made from the rows that match.

const PAGE = 50;

// A column: title, text(row), and key(row), the number to sort by; n where it is a number to read, blank where there is
// nothing in it.
class Pages {
  constructor(panel, said) {
    Object.assign(this, { panel, said });
  }

  // show takes a table's caption, columns, the rows in their first order, and what a click on a row's button does.
  show(source) {
    Object.assign(this, source, { columns: source.columns.filter((c) => !c.blank) });
    this.order = null;
    this.at = 0;
    this.draw();
  }

  sort(column) {
    const falling = this.order?.column === column ? !this.order.falling : !!column.n;
    this.order = { column, falling };
    const keys = Float64Array.from(this.rows, column.key), turn = falling ? -1 : 1;
    const order = Uint32Array.from(keys.keys()).sort((a, b) => turn * (keys[a] - keys[b]) || a - b);
    this.sorted = Array.isArray(this.rows) ? Array.from(order, (i) => this.rows[i]) : order.map((i) => this.rows[i]);
    this.at = 0;
    this.draw();
    this.panel.querySelectorAll("thead button")[this.columns.indexOf(column)].focus();
  }

  turn(to) {
    this.at = Math.max(0, Math.min(to, Math.floor((this.rows.length - 1) / PAGE) * PAGE));
    this.draw();
  }

  draw() {
    const rows = this.order ? this.sorted : this.rows, shown = rows.slice(this.at, this.at + PAGE);
    const table = element("table"), head = element("tr"), body = element("tbody");
    table.append(element("caption", this.caption), element("thead", head), body);
    for (const c of this.columns) {
      const button = element("button", c.title), th = element("th", button);
      button.type = "button";
      th.scope = "col";
      if (c.n) th.className = "n";
      if (this.order?.column === c) th.setAttribute("aria-sort", this.order.falling ? "descending" : "ascending");
      button.addEventListener("click", () => this.sort(c));
      head.append(th);
    }
    for (const row of shown) {
      const tr = element("tr");
      for (const [i, c] of this.columns.entries()) {
        const cell = element(i === 0 ? "th" : "td");
        if (i === 0) cell.scope = "row";
        if (c.n) cell.className = "n";
        if (c.find) {
          const button = element("button", c.text(row));
          button.type = "button";
          button.className = "find";
          button.title = "Search for it";
          button.addEventListener("click", () => this.find(c.find(row)));
          cell.append(button);
        } else {
          const text = c.text(row);
          if (c.mark) cell.append(mark(c.mark(row)));
          cell.append(text);
        }
        tr.append(cell);
      }
      body.append(tr);
    }
    const wide = element("div", table);
    wide.className = "wide";
    wide.tabIndex = 0;
    wide.setAttribute("role", "region");
    wide.setAttribute("aria-label", this.caption);
    this.panel.replaceChildren(rows.length ? wide : element("p", this.empty), ...this.pager(rows.length));
  }

  pager(n) {
    if (n <= PAGE) return [];
    const bar = element("nav"), last = Math.floor((n - 1) / PAGE) * PAGE;
    bar.className = "pager";
    bar.setAttribute("aria-label", "Pages");
    for (const [text, to, off] of [["First", 0, this.at === 0], ["Previous", this.at - PAGE, this.at === 0], ["Next", this.at + PAGE, this.at === last], ["Last", last, this.at === last]]) {
      const button = element("button", text);
      button.type = "button";
      button.disabled = off;
      button.addEventListener("click", () => {
        this.turn(to);
        const same = Array.from(this.panel.querySelectorAll(".pager button")).find((b) => b.textContent === text && !b.disabled);
        (same ?? this.panel.querySelector(".wide")).focus();
      });
      bar.append(button);
    }
    const place = element("span", `${grouped(this.at + 1)} to ${grouped(Math.min(n, this.at + PAGE))} of ${grouped(n)}`);
    bar.append(place);
    return [bar];
  }
}

// element makes one; text becomes a text node, so that nothing in it is HTML.
function element(name, ...inside) {
  const e = document.createElement(name);
  e.append(...inside);
  return e;
}

function mark(kind) {
  const m = element("span");
  m.className = "mark " + kind;
  m.setAttribute("aria-hidden", "true");
  return m;
}

// textColumn and numberColumn show a column of a table of the payload.
function textColumn(table, name, title) {
  const c = table.columns[name];
  return { title, text: (row) => c.get(row), key: (row) => c.rank()[c.refs[row]], blank: c.count === 1 && c.value(0) === "" };
}

function timeColumn(title, minutes) {
  return { title, text: (row) => moment(minutes(row)), key: minutes };
}

function addressColumn(table) {
  return { title: "Address", text: (row) => table.address(table.host[row]), key: (row) => table.host[row], find: (row) => table.address(table.host[row]) };
}

function portColumn(table) {
  const { port } = table.columns;
  return { title: "Port", n: true, text: (row) => (port.get(row) === 0 ? "–" : String(port.get(row))), key: (row) => port.get(row) };
}

// hostsOf are the hosts that rows, ascending, belong to: each with its first row, and the row behind its last.
function hostsOf(table, rows) {
  const hosts = [];
  for (let i = 0; i < rows.length;) {
    let j = i + 1;
    while (j < rows.length && table.host[rows[j]] === table.host[rows[i]]) j++;
    hosts.push({ host: table.host[rows[i]], from: i, to: j });
    i = j;
  }
  return hosts;
}

// tally counts rows by a column's values: how many, how many of them are open, on how many hosts.
function tally(table, rows, column, open) {
  const n = new Map();
  for (const row of rows) {
    const k = column.refs[row];
    let t = n.get(k);
    if (!t) n.set(k, t = { k, rows: 0, open: 0, hosts: 0, last: -1 });
    t.rows++;
    t.open += open(row) ? 1 : 0;
    if (t.last !== table.host[row]) { t.hosts++; t.last = table.host[row]; }
  }
  return [...n.values()].sort((a, b) => b.open - a.open || b.rows - a.rows || a.k - b.k);
}
