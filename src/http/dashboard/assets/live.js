// Keeps a page true: when the service tells that something changed, the parts that show it are fetched again.
// Parts are elements with an id and `data-live`, the names of the events that they depend on.
"use strict";

(() => {
  const QUIET_MS = 300;
  const AGES_MS = 10_000;
  const status = document.getElementById("live");
  const wanted = new Set();
  let timer = null;
  let lost = false;

  const tell = (state, text) => {
    status.className = `live ${state}`;
    if (status.textContent !== text) status.textContent = text;
  };

  // The server says the same of a time; keep both alike.
  const relative = (at) => {
    const seconds = Math.floor(Math.abs(Date.now() - at) / 1000);
    const ahead = at > Date.now();
    if (seconds < 5) return ahead ? "now" : "just now";
    const [number, unit] =
      seconds < 60 ? [seconds, "s"]
      : seconds < 3600 ? [Math.floor(seconds / 60), "min"]
      : seconds < 172800 ? [Math.floor(seconds / 3600), "h"]
      : [Math.floor(seconds / 86400), "days"];
    return ahead ? `in ${number} ${unit}` : `${number} ${unit} ago`;
  };

  const ages = () => {
    for (const time of document.querySelectorAll("time[datetime]")) {
      const text = relative(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // Whether somebody is typing there: nothing is taken from under their hands.
  const isEdited = (part) => {
    const focused = document.activeElement;
    return part.contains(focused) && focused.matches("textarea, select, input[type=text], input[type=search], input[type=password]");
  };

  const keep = (part) => ({
    focus: part.contains(document.activeElement) ? document.activeElement.id : "",
    picked: [...part.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.id),
    open: [...part.querySelectorAll("details[open]")].map((each) => each.id),
  });

  const restore = (part, kept) => {
    for (const id of kept.picked) {
      const box = id && document.getElementById(id);
      if (box && part.contains(box)) box.checked = true;
    }
    for (const id of kept.open) {
      const each = id && document.getElementById(id);
      if (each) each.open = true;
    }
    if (kept.focus) document.getElementById(kept.focus)?.focus();
  };

  const refresh = async () => {
    timer = null;
    const names = new Set(wanted);
    wanted.clear();
    const parts = [...document.querySelectorAll("[data-live][id]")].filter((part) =>
      part.dataset.live.split(" ").some((name) => names.has(name)),
    );
    if (parts.length === 0) return;
    let answer;
    try {
      answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    } catch {
      return; // The next event, or the connection's return, tries again.
    }
    // Somebody signed out, or the session is over.
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const next = fresh.getElementById(part.id);
      if (!next || !part.isConnected || isEdited(part)) continue;
      const before = part.cloneNode(true);
      for (const time of before.querySelectorAll("time")) time.textContent = "";
      const after = next.cloneNode(true);
      for (const time of after.querySelectorAll("time")) time.textContent = "";
      if (before.innerHTML === after.innerHTML) continue;
      const kept = keep(part);
      part.replaceChildren(...next.childNodes);
      restore(part, kept);
    }
    ages();
  };

  const changed = (names) => {
    for (const name of names) wanted.add(name);
    timer ??= setTimeout(refresh, QUIET_MS);
  };

  const listen = () => {
    const NAMES = ["job", "run", "fabric", "service", "server"];
    const events = new EventSource(document.querySelector("script[data-events]").dataset.events);
    events.addEventListener("open", () => {
      tell("on", "live");
      // What happened meanwhile is told by the stream, which knows where this page stopped; but one that could not be
      // resumed begins anew.
      if (lost) changed(NAMES);
      lost = false;
    });
    events.addEventListener("reset", () => changed(NAMES));
    for (const name of NAMES) events.addEventListener(name, () => changed([name]));
    events.addEventListener("error", () => {
      lost = true;
      tell("lost", "reconnecting");
      if (events.readyState === EventSource.CLOSED) {
        events.close();
        setTimeout(listen, 10_000);
      }
    });
    addEventListener("pagehide", () => events.close(), { once: true });
  };

  document.addEventListener("change", (change) => {
    const name = change.target.dataset?.all;
    if (!name) return;
    for (const box of change.target.form.querySelectorAll(`input[type=checkbox][name="${CSS.escape(name)}"]`)) {
      box.checked = change.target.checked;
    }
  });

  // A form asks before it does what cannot be taken back.
  document.addEventListener("submit", (submit) => {
    const question = submit.submitter?.dataset.ask;
    if (question && !confirm(question)) submit.preventDefault();
  });

  // On a phone the current page's tab may be far to the right.
  const tab = document.querySelector(".tabs [aria-current]");
  if (tab) tab.parentElement.scrollLeft = tab.offsetLeft + (tab.offsetWidth - tab.parentElement.clientWidth) / 2;
  tell("", "connecting");
  setInterval(ages, AGES_MS);
  listen();
  addEventListener("pageshow", (shown) => {
    if (shown.persisted) location.reload();
  });
})();
