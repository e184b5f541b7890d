(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const table = byId("list"), body = table.tBodies[0], page = 100;
  const numberOf = (text) => (text === "–" || text === "" ? NaN : Number(text.replace("−", "-").replace("+", "")));
  const headers = [...table.tHead.rows[0].cells];
  const scores = headers.flatMap((header, place) => (header.classList.contains("score") ? [place] : []));
  const unsafe = headers.findIndex((header) => header.classList.contains("unsafe"));
  const rows = [...body.rows].map((row) => {
    const cells = [...row.cells].map((cell) => cell.textContent.trim());
    return { row, cells, text: cells.slice(0, 3).join(" ").toLowerCase() };
  });
  let order = rows, shown = rows, limit = page;

  // -- sorting
  const collator = new Intl.Collator("en", { numeric: true });
  const sortBy = (place, falling) => {
    const numeric = headers[place].classList.contains("number"), sign = falling ? -1 : 1;
    order = [...rows].sort((one, other) => {
      const [a, b] = [one.cells[place], other.cells[place]];
      if (!numeric) return sign * collator.compare(a, b);
      const [x, y] = [numberOf(a), numberOf(b)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    });
  };
  headers.forEach((header, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent.trim();
    header.replaceChildren(button);
    button.addEventListener("click", () => {
      const falling = header.getAttribute("aria-sort") === "ascending";
      headers.forEach((other) => other.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", falling ? "descending" : "ascending");
      sortBy(place, falling);
      limit = page;
      show();
    });
  });

  // -- filtering
  const fields = { search: byId("search"), task: byId("task"), outcome: byId("outcome"), most: byId("most"), unsafe: byId("unsafe"), flipped: byId("flipped") };
  const wanted = ({ row, cells, text }) => {
    if (fields.search.value && !text.includes(fields.search.value.trim().toLowerCase())) return false;
    if (fields.task && fields.task.selectedIndex > 0 && cells[2] !== fields.task.value.trim()) return false;
    if (fields.outcome.value && !cells.at(-1).split(", ").includes(fields.outcome.value)) return false;
    if (fields.most.value !== "" && !scores.some((place) => numberOf(cells[place]) <= Number(fields.most.value))) return false;
    if (fields.unsafe.checked && !cells[unsafe]) return false;
    return !(fields.flipped && fields.flipped.checked && !("f" in row.dataset));
  };
  const told = (number) => number.toLocaleString("en") + (number === 1 ? " ticket" : " tickets");
  const show = () => {
    shown = order.filter(wanted);
    body.replaceChildren(...shown.map(({ row }, place) => (row.classList.toggle("later", place >= limit), row)));
    byId("count").textContent = shown.length === rows.length ? told(rows.length) : `${shown.length.toLocaleString("en")} of ${told(rows.length)}`;
    byId("more").hidden = shown.length <= limit;
  };
  for (const field of Object.values(fields)) {
    field?.addEventListener("input", () => { limit = page; show(); });
  }
  byId("reset").addEventListener("click", () => {
    for (const field of Object.values(fields)) {
      if (!field) continue;
      if (field.type === "checkbox") field.checked = false; else field.value = "";
    }
    limit = page;
    show();
  });
  byId("more").addEventListener("click", () => { limit += page; show(); });
  byId("filters").hidden = false;

  // -- one ticket, at the address #t1
  const title = document.title, steps = byId("steps");
  let last = null;
  const link = (id, text) => {
    const made = document.createElement("a");
    made.href = "#" + id;
    made.textContent = text;
    return made;
  };
  const arrive = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const ticket = /^t\d+$/.test(id) ? byId(id) : null;
    if (!ticket) {
      document.title = title;
      if (last) body.querySelector(`a[href="#${last}"]`)?.focus({ preventScroll: false });
      last = null;
      return;
    }
    last = id;
    const heading = ticket.querySelector("h1");
    document.title = `${heading.textContent} – ${title}`;
    const ids = shown.map(({ row }) => row.querySelector("a").hash.slice(1)), place = ids.indexOf(id);
    steps.replaceChildren();
    if (place > 0) steps.append(link(ids[place - 1], "Previous"), " ");
    if (place >= 0 && place + 1 < ids.length) steps.append(link(ids[place + 1], "Next"), " ");
    if (place >= 0) steps.append(`${(place + 1).toLocaleString("en")} of ${ids.length.toLocaleString("en")}`);
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  };
  addEventListener("hashchange", arrive);
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && last && !event.defaultPrevented) location.hash = "tickets";
  });
  show();
  arrive();
})();
