// The page: what matches the search is on the map and in the tables.

const $ = (id) => document.getElementById(id);
const CHANGED = { opened: "opened", reopened: "opened", found: "opened", "host-up": "opened", closed: "ended", gone: "ended", ended: "ended", "host-down": "ended", "net-dark": "ended" };
const changeClass = (kind) => CHANGED[kind] ?? "other";

async function start() {
  const { meta, tables } = await unpack($("payload").content.textContent);
  $("payload").remove();
  const { endpoints, changes, violations } = tables;
  const shown = { endpoints: null, changes: null, violations: null };
  const pages = new Pages($("panel"));
  const views = viewsOf(meta, tables, shown);
  let current = views[0], map = null;

  const search = (text) => {
    $("search").value = text;
    const words = parsed(text);
    shown.endpoints = matching(endpoints, words);
    shown.changes = matching(changes, words);
    shown.violations = matching(violations, words);
    choose(current, false);
    if (map) map.refresh();
  };
  const choose = (view, focus) => {
    current = view;
    for (const tab of $("tabs").children) {
      const mine = tab.dataset.view === view.title;
      tab.setAttribute("aria-selected", mine);
      tab.tabIndex = mine ? 0 : -1;
      if (mine) { $("panel").setAttribute("aria-labelledby", tab.id); if (focus) tab.focus(); }
    }
    $("tables-title").textContent = view.title;
    const table = view.table ?? endpoints;
    $("found").textContent = `${grouped(shown[table.name].length)} of ${grouped(table.rows)} ${table.name}`;
    pages.show({ ...view.make(), find: (text) => { search(text); if (view.then) choose(view.then(), false); $("tables").scrollIntoView(); $("panel").focus(); } });
  };
  for (const [i, view] of views.entries()) {
    const tab = element("button", view.title);
    Object.assign(tab, { type: "button", id: "tab-" + i });
    tab.dataset.view = view.title;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "panel");
    tab.addEventListener("click", () => choose(view, true));
    $("tabs").append(tab);
  }
  $("tabs").addEventListener("keydown", (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
    if (step) { e.preventDefault(); choose(views[(views.indexOf(current) + step + views.length) % views.length], true); }
  });
  let waiting = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => search($("search").value), 150);
  });
  $("search").addEventListener("change", () => { // Enter, or the field is left
    clearTimeout(waiting);
    search($("search").value);
  });
  $("tables").hidden = false;
  search("");
  if (meta.squares.length > 0) {
    map = startMap(meta, tables, shown, (prefix) => {
      search(prefixName(prefix));
      $("tables").scrollIntoView();
    });
  }
  document.documentElement.dataset.ready = "yes";
}

// viewsOf are the tables that a reader can choose from.
function viewsOf(meta, { endpoints, changes, violations }, shown) {
  const c = endpoints.columns, open = (row) => c.state.get(row) === "open";
  const openRefs = Uint8Array.from({ length: c.state.count }, (_, k) => (c.state.value(k) === "open" ? 1 : 0));
  const isOpen = (row) => openRefs[c.state.refs[row]] === 1;
  const seen = (row) => (c.since.get(row) === 0 ? 0 : c.since.get(row) + c.seen.get(row));
  const after = (row) => (c.after.get(row) === 0 ? 0 : c.since.get(row) - c.after.get(row));
  const nothing = "Nothing matches.";
  const all = {};
  all.hosts = { title: "Hosts", then: () => all.endpoints, make: () => {
    const rows = shown.endpoints, list = hostsOf(endpoints, rows);
    const fold = (h, f, first) => { let v = first; for (let i = h.from; i < h.to; i++) v = f(v, rows[i]); return v; };
    const name = (h) => fold(h, (v, row) => v || c.name.get(row), "");
    const ports = (h) => {
      const listed = [];
      for (let i = h.from; i < h.to && listed.length < 13; i++) if (isOpen(rows[i]) && listed.at(-1) !== c.port.get(rows[i])) listed.push(c.port.get(rows[i]));
      return listed.length > 12 ? listed.slice(0, 12).join(", ") + " …" : listed.join(", ");
    };
    const number = (h) => fold(h, (v, row) => v + isOpen(row), 0);
    const first = (h) => fold(h, (v, row) => (c.since.get(row) && (v === 0 || c.since.get(row) < v) ? c.since.get(row) : v), 0);
    const last = (h) => fold(h, (v, row) => Math.max(v, seen(row)), 0);
    return { caption: "Hosts", empty: nothing, rows: list, columns: [
      { title: "Address", text: (h) => endpoints.address(h.host), key: (h) => h.host, find: (h) => endpoints.address(h.host) },
      { ...textColumn(endpoints, "name", "Name"), text: name, key: (h) => c.name.rank()[c.name.refs[rows[h.from]]] },
      { title: "Open", n: true, text: (h) => grouped(number(h)), key: number },
      { title: "Open ports", text: ports, key: number },
      timeColumn("Since", first), timeColumn("Last seen open", last),
    ] };
  } };
  all.endpoints = { title: "Endpoints", make: () => ({ caption: "Endpoints", empty: nothing, rows: shown.endpoints, columns: [
    addressColumn(endpoints), portColumn(endpoints),
    { ...textColumn(endpoints, "state", "State"), mark: (row) => "state-" + c.state.get(row).replace(" ", "-") },
    textColumn(endpoints, "service", "Service"), textColumn(endpoints, "name", "Name"),
    { ...timeColumn("Since", (row) => c.since.get(row)), text: (row) => (after(row) ? moment(after(row)) + " to " : "") + moment(c.since.get(row)) },
    timeColumn("Last seen open", seen), textColumn(endpoints, "vantage", "From"), textColumn(endpoints, "notes", "Notes"), textColumn(endpoints, "banner", "Banner"),
  ] }) };
  const counted = (caption, title, column, text, find) => ({ title: caption, then: () => all.endpoints, make: () => ({ caption, empty: nothing, rows: tally(endpoints, shown.endpoints, column, open), columns: [
    { title, n: column instanceof Numbers, text: (t) => text(t.k), key: (t) => (column instanceof Numbers ? column.values[t.k] : column.rank()[t.k]), find: (t) => find(t.k) },
    { title: "Open", n: true, text: (t) => grouped(t.open), key: (t) => t.open },
    { title: "Hosts", n: true, text: (t) => grouped(t.hosts), key: (t) => t.hosts },
    { title: "Not open or unknown", n: true, text: (t) => grouped(t.rows - t.open), key: (t) => t.rows - t.open },
  ] }) });
  all.ports = counted("Ports", "Port", c.port, (k) => String(c.port.values[k]), (k) => ":" + c.port.values[k]);
  all.services = counted("Services", "Service", c.service, (k) => c.service.value(k) || "not known", (k) => c.service.value(k));
  const d = changes.columns;
  all.changes = { title: "Changes", table: changes, make: () => ({ caption: "Changes", empty: meta.changes ? nothing : "Nothing can be said of changes: no two of the scans are known to have asked the same endpoints.",
    rows: shown.changes.slice().sort((a, b) => d.to.get(b) - d.to.get(a) || a - b), columns: [
      addressColumn(changes), portColumn(changes),
      { ...textColumn(changes, "kind", "Change"), mark: (row) => "change-" + changeClass(d.kind.get(row)) },
      textColumn(changes, "before", "Before"), textColumn(changes, "after", "After"),
      timeColumn("Not before", (row) => (d.from.get(row) === 0 ? 0 : d.to.get(row) - d.from.get(row))), timeColumn("Not after", (row) => d.to.get(row)),
      textColumn(changes, "service", "Service"), textColumn(changes, "vantage", "From"), textColumn(changes, "notes", "Notes"),
    ] }) };
  const v = violations.columns;
  all.violations = { title: "Violations", table: violations, make: () => ({ caption: "Violations", empty: meta.violations ? nothing : "No policy was checked.", rows: shown.violations, columns: [
    addressColumn(violations), portColumn(violations), textColumn(violations, "severity", "Severity"), textColumn(violations, "rule", "Rule"),
    textColumn(violations, "want", "Wanted"), textColumn(violations, "status", "Status"), textColumn(violations, "owner", "Owner"),
    timeColumn("First", (row) => v.first.get(row)), textColumn(violations, "vantage", "From"), textColumn(violations, "notes", "Notes"),
  ] }) };
  return Object.values(all);
}

start().catch((e) => {
  const p = element("p", "The tables could not be shown: " + e.message + ". The summary below is complete.");
  p.className = "warnings";
  document.querySelector("main").prepend(p);
  document.documentElement.dataset.ready = "no";
});
