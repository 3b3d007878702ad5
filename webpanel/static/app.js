/* What the panel's pages do in the browser.  Every page works without it, only less comfortably.
   Load theme.js in <head> and this file with `defer`.  A template asks by an attribute:

     <button data-copy="#id">            copies that element's text (an input's value)
     <time datetime="…Z" data-local>     shows the viewer's time, the text it had goes to the title
     <button data-theme-toggle>          light or dark
     <form data-confirm="Revoke it?">    asks first; data-confirm-button names the button
     <input data-search>                 the key "/" goes there
     <div data-reload="/credentials">    a reload goes there instead of sending the form again
     <a data-fill="#id" data-value="25"> writes that into a field instead of following the link
     <div id="x" data-live="5" data-said="y">  looks after 5 seconds, and again, whether the page
                                         says something else here; until it comes without data-live
     <span id="z" data-quiet>            in such a div: is kept up to date at each look, unannounced

   Nothing here needs eval, inline script or another host: it runs under `default-src 'self'`. */
"use strict";

const announcer = document.createElement("div");
announcer.className = "visually-hidden";
announcer.setAttribute("aria-live", "polite");
document.body.append(announcer);

function announce(text) {
  announcer.textContent = "";
  // An unchanged text is not read out again; an empty one in between makes it a change.
  setTimeout(() => (announcer.textContent = text), 50);
}

// --- copy ---------------------------------------------------------------------------------------

function textOf(element) {
  return "value" in element && element.value !== undefined ? element.value : element.textContent.trim();
}

// navigator.clipboard exists in secure contexts only; a panel may be plain http inside a network.
function copyBySelection(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  return copied;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

function showCopied(button) {
  if (button.hasAttribute("data-copied")) return;
  const label = button.querySelector("[data-copy-label]") || button;
  const before = [...label.childNodes];
  button.setAttribute("data-copied", "");
  button.style.minWidth = `${button.offsetWidth}px`; // its neighbours stay where they are
  label.textContent = "Copied";
  setTimeout(() => {
    label.replaceChildren(...before);
    button.removeAttribute("data-copied");
  }, 2000);
}

async function onCopy(button) {
  const source = document.querySelector(button.dataset.copy);
  if (!source) return;
  const copied = await copy(textOf(source));
  button.focus();
  announce(copied ? "Copied" : "Could not copy; select the text and copy it by hand");
  if (copied) showCopied(button);
}

// --- time ---------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", year: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

function showLocalTime(element) {
  const moment = new Date(element.dateTime);
  if (isNaN(moment)) return;
  element.title = element.textContent.trim();
  element.textContent = clock.format(moment);
}

// --- theme --------------------------------------------------------------------------------------

function toggleTheme() {
  const root = document.documentElement;
  const theme = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
  root.setAttribute("data-bs-theme", theme);
  announce(`${theme === "dark" ? "Dark" : "Light"} theme`);
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // storage can be forbidden; then the choice lasts for this page
  }
}

// --- confirm ------------------------------------------------------------------------------------

function button(text, className, value) {
  const element = document.createElement("button");
  Object.assign(element, { textContent: text, className, value });
  return element;
}

function ask(question, answer) {
  const dialog = document.createElement("dialog");
  const form = document.createElement("form");
  const text = document.createElement("p");
  const buttons = document.createElement("div");
  dialog.className = "confirm card";
  form.method = "dialog";
  form.className = "card-body";
  text.id = "confirm-question";
  text.textContent = question;
  buttons.className = "btn-list justify-content-end";
  buttons.append(button("Cancel", "btn", ""), button(answer, "btn btn-danger", "yes"));
  form.append(text, buttons);
  dialog.append(form);
  dialog.setAttribute("aria-labelledby", text.id);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    })
  );
}

async function onSubmit(event) {
  const form = event.target;
  if (!form.dataset.confirm) return;
  event.preventDefault();
  const submitter = event.submitter;
  const answer = form.dataset.confirmButton || submitter?.textContent.trim() || "Yes";
  if (!(await ask(form.dataset.confirm, answer))) {
    submitter?.focus();
    return;
  }
  delete form.dataset.confirm;
  form.requestSubmit(submitter);
}

// --- fill ---------------------------------------------------------------------------------------

function fill(event, link) {
  const field = document.querySelector(link.dataset.fill);
  if (!field || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  field.value = link.dataset.value;
  field.focus();
  announce(`Amount: ${link.dataset.value}`);
}

// --- live ---------------------------------------------------------------------------------------

async function freshly(element) {
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return null; // logged out meanwhile: leave it as it is
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.getElementById(element.id);
  } catch {
    return null; // no network; the next look may have one
  }
}

function showQuietly(element, now) {
  for (const part of element.querySelectorAll("[data-quiet]")) {
    const fresh = now.querySelector(`[id="${part.id}"]`);
    if (!fresh || fresh.isEqualNode(part)) continue;
    fresh.querySelectorAll("time[data-local]").forEach(showLocalTime);
    part.replaceWith(fresh);
  }
}

// Each pause is longer than the one before, up to a minute: what takes long may take days.
function watch(element, pause = Number(element.dataset.live)) {
  setTimeout(async () => {
    const now = document.hidden ? null : await freshly(element);
    if (!now || (now.dataset.live && now.dataset.said === element.dataset.said)) {
      if (now) showQuietly(element, now);
      return watch(element, Math.max(pause, Math.min(pause * 1.2, 60)));
    }
    element.replaceWith(now);
    now.querySelectorAll("time[data-local]").forEach(showLocalTime);
    announce(now.querySelector("[role=status]")?.textContent.trim() || "The page has changed");
    if (now.dataset.live) watch(now);
  }, 1000 * pause);
}

// --- wiring -------------------------------------------------------------------------------------

function isTyping(element) {
  return element.matches("input, textarea, select, [contenteditable]");
}

function onKey(event) {
  const search = document.querySelector("[data-search]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!search || isTyping(event.target)) return;
  event.preventDefault();
  search.focus();
  search.select();
}

const shownOnce = document.querySelector("[data-reload]");
if (shownOnce) history.replaceState(null, "", shownOnce.dataset.reload);

document.addEventListener("click", (event) => {
  const copying = event.target.closest("[data-copy]");
  if (copying) onCopy(copying);
  if (event.target.closest("[data-theme-toggle]")) toggleTheme();
  const filling = event.target.closest("[data-fill]");
  if (filling) fill(event, filling);
});
document.addEventListener("submit", onSubmit);
document.addEventListener("keydown", onKey);
document.querySelectorAll("time[data-local]").forEach(showLocalTime);
document.querySelectorAll("[data-live]").forEach((element) => watch(element));
