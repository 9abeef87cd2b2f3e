// The page where users ask for their own data. Whatever changes something is signed by the user's own extension (NIP-07)
// as NIP-98 says; watching is not, or the extension would ask every few seconds: signing in gives a cookie that may read.
"use strict";

const page = document.getElementById("page");
const words = JSON.parse(document.getElementById("words")?.textContent ?? "{}");
const shown = (id, yes) => { document.getElementById(id).hidden = !yes; };
const SHAPES = { pending: "◌", scheduled: "◷", in_progress: "◐", completed: "✓", failed: "✕", cancelled: "⊘", expired: "∅" };
const OPEN = ["pending", "scheduled", "in_progress"];
const EVERY_MS = 2000;
let timer;

const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

async function token(method, url, body) {
  const tags = [["u", url], ["method", method]];
  if (body !== undefined) {
    tags.push(["payload", hex(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body)))]);
  }
  const event = { kind: 27235, created_at: Math.floor(Date.now() / 1000), tags, content: "" };
  const signed = JSON.stringify(await window.nostr.signEvent(event));
  return "Nostr " + btoa(String.fromCharCode(...new TextEncoder().encode(signed)));
}

async function signed(method, path, content) {
  if (!window.nostr) throw new Error(words.noSigner);
  if (!window.crypto?.subtle) throw new Error(words.insecure);
  const url = location.origin + path;
  const body = content === undefined ? undefined : JSON.stringify(content);
  const headers = { Authorization: await token(method, url, body), Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return answered(await fetch(url, { method, headers, body, credentials: "same-origin" }));
}

async function answered(response) {
  const text = await response.text();
  const content = text ? JSON.parse(text) : null;
  if (!response.ok) throw new Error(content?.detail ?? response.statusText);
  return content;
}

function tell(error) {
  const place = document.getElementById("message");
  place.hidden = !error;
  place.textContent = error ? error.message || String(error) : "";
}

async function doing(button, work) {
  tell(null);
  button.disabled = true;
  try {
    await work();
  } catch (error) {
    tell(error);
  } finally {
    button.disabled = false;
  }
}

const size = (bytes) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  for (; bytes >= 1024 && at < units.length - 1; at += 1) bytes /= 1024;
  return `${at ? bytes.toFixed(1) : bytes} ${units[at]}`;
};
const when = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function factsOf(job) {
  const facts = [];
  if (job.status === "in_progress" && job.bytesDone) facts.push(size(job.bytesDone));
  if (job.status === "scheduled" && job.scheduledAt) facts.push(filled(words.starts, { when: when(job.scheduledAt) }));
  const { fileCount: files, compressedSize } = job.metadata;
  if (compressedSize !== null) facts.push(filled(words.holds, { files, size: size(compressedSize) }));
  if (job.status === "completed" && job.expires) facts.push(filled(words.until, { when: when(job.expires) }));
  return facts.join(" · ");
}

function draw(item, job) {
  const find = (selector) => item.querySelector(selector);
  const state = find(".state");
  state.dataset.state = job.status;
  state.dataset.shape = SHAPES[job.status] ?? "·";
  state.textContent = words.states[job.status] ?? job.status;
  find(".kind").textContent = words.types[job.backupType] ?? job.backupType;
  find("time").textContent = when(job.requested);
  find("time").dateTime = job.requested;
  find("progress").hidden = job.status !== "in_progress";
  find("progress").setAttribute("aria-label", words.states.in_progress);
  find(".facts").textContent = factsOf(job);
  find(".error").hidden = !job.error;
  find(".error").textContent = job.error?.message ?? "";
  const download = find('[data-does="download"]');
  download.hidden = !job.resultUrl;
  if (job.resultUrl) download.href = job.resultUrl;
  find('[data-does="cancel"]').hidden = !OPEN.includes(job.status);
  find('[data-does="delete"]').hidden = OPEN.includes(job.status);
}

function list(jobs) {
  const place = document.getElementById("jobs");
  shown("none", !jobs.length);
  const items = new Map(Array.from(place.children, (item) => [item.dataset.id, item]));
  jobs.forEach((job, position) => {
    let item = items.get(job.id);
    if (!item) {
      item = document.getElementById("job").content.firstElementChild.cloneNode(true);
      item.dataset.id = job.id;
    }
    items.delete(job.id);
    draw(item, job);
    if (place.children[position] !== item) place.insertBefore(item, place.children[position] ?? null);
  });
  items.forEach((item) => item.remove());
}

async function watch() {
  clearTimeout(timer);
  try {
    const found = await answered(await fetch(page.dataset.jobs, { credentials: "same-origin" }));
    if (!found.pubkey) return signedOut();
    shown("welcome", false);
    shown("signed-in", true);
    document.getElementById("pubkey").textContent = found.pubkey;
    list(found.jobs);
    const moving = found.jobs.some((job) => OPEN.includes(job.status));
    timer = setTimeout(watch, moving && !document.hidden ? EVERY_MS : 15 * EVERY_MS);
  } catch (error) {
    tell(error);
    timer = setTimeout(watch, 15 * EVERY_MS);
  }
}

function signedOut() {
  clearTimeout(timer);
  shown("signed-in", false);
  shown("welcome", true);
  list([]);
  // Extensions put window.nostr there a moment after the page has loaded.
  setTimeout(() => shown("no-signer", !window.nostr), 1500);
}

function asked(form) {
  const values = new FormData(form);
  const metadata = {};
  if (values.get("type") === "selective") metadata.select = values.getAll("collection");
  if (values.get("recipient").trim()) metadata.recipient = values.get("recipient").trim();
  return { backupType: values.get("type"), metadata };
}

function listen() {
  const form = document.getElementById("ask");
  form.addEventListener("change", () => shown("collections", form.elements.type.value === "selective"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    doing(event.submitter ?? form.querySelector("button.primary"), async () => {
      await signed("POST", "/api/backup", asked(form));
      await watch();
    });
  });
  document.getElementById("sign-in").addEventListener("click", (event) =>
    doing(event.currentTarget, async () => {
      await signed("POST", page.dataset.session);
      await watch();
    }));
  document.getElementById("sign-out").addEventListener("click", (event) =>
    doing(event.currentTarget, async () => {
      await answered(await fetch(page.dataset.signOut, { method: "POST", credentials: "same-origin" }));
      signedOut();
    }));
  document.getElementById("jobs").addEventListener("click", (event) => {
    const does = event.target.dataset.does;
    if (does !== "cancel" && does !== "delete") return;
    const id = event.target.closest("li").dataset.id;
    if (does === "delete" && !confirm(words.sure)) return;
    doing(event.target, async () => {
      await (does === "cancel" ? signed("POST", `/api/backup/${id}/cancel`) : signed("DELETE", `/api/backup/${id}`));
      await watch();
    });
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !document.getElementById("signed-in").hidden) watch();
  });
}

if (document.getElementById("ask")) {
  listen();
  watch();
}
