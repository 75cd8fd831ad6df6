// The chat page: chats live in localStorage (one key each, so that two tabs do not overwrite each other), answers come
// from /v1/chat/completions as server-sent events. Everything shown is built from nodes and text, never from HTML.

import { readEvents } from "./sse.js";
import { renderMarkdown } from "./markdown.js";

const SUGGESTIONS = ["What is 417 + 286?", "How many r are in strawberry?",
  "Tell me a story about a fox who finds a key.", "Who are you?"];
const MAX_SENT_MESSAGES = 400; // below the limits of the API, 500 and 200,000
const MAX_SENT_CHARS = 150_000;
const CHAT_PREFIX = "nanochat.chat.";
const $ = (id) => document.getElementById(id);

let model = null;          // the entry of /v1/models, null until the server has answered
let current = null;        // the chat on screen; not in `chats` before its first message
const chats = new Map();   // id -> {id, title, updated, messages}
const running = new Map(); // id of a chat -> AbortController of the answer it is getting
const views = new WeakMap(); // assistant message -> its nodes on screen

// ---------------------------------------------------------------------------
// Small tools

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.includes("-") || key === "role") node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children);
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  svg.firstChild.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  return svg;
}

const iconButton = (name, label, onclick) =>
  el("button", { className: "icon small", type: "button", "aria-label": label, title: label, onclick }, icon(name));

function load(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
}

function save(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    toast("This browser has no room left for chats. Delete some to keep new ones.");
  }
}

let toastTimer = 0;
function toast(text, action, onclick) {
  clearTimeout(toastTimer);
  const hide = () => ($("toast").hidden = true);
  const act = () => (hide(), onclick());
  const button = action && el("button", { className: "plain", textContent: action, onclick: act });
  $("toast").replaceChildren(text, ...(button ? [button] : []));
  $("toast").hidden = false;
  toastTimer = setTimeout(hide, 7000);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return toast("The browser did not allow copying.");
  }
  button.replaceChildren(icon("check"));
  setTimeout(() => button.replaceChildren(icon("copy")), 1500);
}

// ---------------------------------------------------------------------------
// Chats

const PART_TYPES = ["text", "python", "python_output"];
const isPart = (part) => PART_TYPES.includes(part?.type) && typeof part.text === "string";
const isMessage = (message) =>
  (message?.role === "user" && typeof message.content === "string") ||
  (message?.role === "assistant" && Array.isArray(message.parts) && message.parts.every(isPart));
const isChat = (chat) =>
  typeof chat?.id === "string" && typeof chat.title === "string" &&
  Array.isArray(chat.messages) && chat.messages.every(isMessage);

function loadChats() {
  const kept = [...running.keys()].map((id) => [id, chats.get(id)]);
  chats.clear();
  for (const key of Object.keys(localStorage).filter((name) => name.startsWith(CHAT_PREFIX))) {
    const chat = load(key, null);
    if (isChat(chat)) chats.set(chat.id, chat);
  }
  for (const [id, chat] of kept) if (chat) chats.set(id, chat);
}

function saveChat(chat) {
  if (chats.get(chat.id) === chat) save(CHAT_PREFIX + chat.id, chat);
}

function newChat() {
  return { id: crypto.randomUUID?.() ?? String(Math.random()).slice(2), title: "", updated: Date.now(), messages: [] };
}

function deleteChat(chat) {
  running.get(chat.id)?.abort();
  chats.delete(chat.id);
  localStorage.removeItem(CHAT_PREFIX + chat.id);
  if (chat === current) openChat(newChat());
  renderList();
  toast("Chat deleted.", "Undo", () => {
    chats.set(chat.id, chat);
    saveChat(chat);
    openChat(chat);
  });
}

function openChat(chat) {
  current = chat;
  const hash = chats.has(chat.id) ? `#${chat.id}` : "";
  if (location.hash !== hash) history.pushState(null, "", hash || location.pathname);
  document.title = chat.title ? `${chat.title} · nanochat` : "nanochat";
  $("log").replaceChildren();
  if (chat.messages.at(-1)?.role === "user" && !running.has(chat.id)) { // the page was closed before its answer came
    chat.messages.push({ role: "assistant", parts: [], state: "error", error: "This answer was interrupted." });
  }
  for (const message of chat.messages) showMessage(message);
  update();
  renderList();
  closeSidebar();
  follow(true);
}

function renderList() {
  const sorted = [...chats.values()].sort((a, b) => b.updated - a.updated);
  $("chat-list").replaceChildren(...sorted.map((chat) => {
    const props = { className: "chat", title: chat.title, onclick: () => openChat(chat) };
    const open = el("button", props, el("span", {}, chat.title));
    if (chat === current) open.setAttribute("aria-current", "true");
    if (running.has(chat.id)) open.append(el("span", { className: "pulse", "aria-label": "answering", role: "img" }));
    return el("li", {}, open, iconButton("close", `Delete chat: ${chat.title}`, () => deleteChat(chat)));
  }));
}

// ---------------------------------------------------------------------------
// The conversation on screen

function showMessage(message) {
  if (message.role === "user") {
    $("log").append(el("article", { className: "turn user", "aria-label": "You" }, message.content));
    return;
  }
  const view = { body: el("div", { className: "body" }), foot: el("footer") };
  view.root = el("article", { className: "turn assistant", "aria-label": "Answer" }, view.body, view.foot);
  views.set(message, view);
  $("log").append(view.root);
  paint(message);
}

/** A text part as it is; a python part and the output after it are one tool call. */
function segments(parts) {
  const found = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (part.type === "text") found.push({ type: "text", text: part.text });
    else if (part.type === "python") found.push({ type: "tool", input: part.text, output: null });
    else if (last?.type === "tool" && last.output === null) last.output = part.text;
  }
  return found;
}

function buildTool() {
  const [input, output] = [el("code", { className: "input" }), el("code", { className: "output" })];
  const tool = el("div", { className: "tool", role: "group", "aria-label": "Calculator" },
    icon("calculator"), input, el("span", { className: "equals" }, "="), output);
  return Object.assign(tool, { input, output });
}

/** Brings the nodes of an answer up to date. Only what changed is touched. */
function paint(message) {
  const view = views.get(message);
  if (!view?.root.isConnected) return;
  const isLive = message.state === "live";
  view.root.classList.toggle("live", isLive);
  view.root.classList.toggle("waiting", isLive && !message.parts.length);
  segments(message.parts).forEach((segment, i) => {
    let node = view.body.childNodes[i];
    if (!node) view.body.append((node = segment.type === "tool" ? buildTool() : el("div", { className: "text" })));
    if (segment.type === "text") renderMarkdown(node, segment.text.trimStart()); // it begins a line, also after a tool call
    else {
      node.input.textContent = segment.input;
      node.output.textContent = segment.output ?? (isLive ? "" : "stopped");
      node.classList.toggle("pending", segment.output === null);
    }
  });
  view.foot.replaceChildren(...(isLive ? [] : footer(message)));
}

const visibleText = (message) => message.parts.filter((part) => part.type === "text").map((part) => part.text).join("");

function footer(message) {
  const isLast = message === current.messages.at(-1);
  if (message.error) {
    const retry = el("button", { className: "plain", textContent: "Try again", onclick: () => ask(current) });
    return [el("p", { className: "error", role: "alert" }, el("span", {}, message.error), ...(isLast ? [retry] : []))];
  }
  const facts = [];
  const { tok_per_sec, ttft_sec, num_tokens } = message.timings ?? {};
  if (tok_per_sec != null) facts.push(`${tok_per_sec < 10 ? tok_per_sec.toFixed(1) : Math.round(tok_per_sec)} tok/s`);
  if (ttft_sec != null) facts.push(`first token ${ttft_sec.toFixed(2)} s`);
  if (num_tokens != null) facts.push(`${num_tokens} ${num_tokens === 1 ? "token" : "tokens"}`);
  if (message.state === "stopped") facts.push("stopped");
  if (message.state === "length") facts.push("cut at the longest answer");
  if (!message.parts.length && message.state === "stop") facts.unshift("The model said nothing.");
  const copyButton = iconButton("copy", "Copy the answer", () => copy(visibleText(message), copyButton));
  const again = iconButton("again", "Answer again", () => ask(current));
  return [copyButton, ...(isLast ? [again] : []), el("span", { className: "facts" }, facts.join(" · "))];
}

function update() {
  const isRunning = running.has(current.id);
  $("empty").hidden = current.messages.length > 0;
  $("log").setAttribute("aria-busy", isRunning);
  $("send").hidden = isRunning;
  $("stop").hidden = !isRunning;
  $("send").disabled = !$("message").value.trim();
}

// Follow the answer only while the reader is at the bottom.
let isFollowing = true;
function follow(now = isFollowing) {
  isFollowing = now;
  if (now) $("scroller").scrollTop = $("scroller").scrollHeight;
  $("jump").hidden = now;
}

// ---------------------------------------------------------------------------
// Asking

class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(path, options = {}) {
  const key = load("nanochat.key", "");
  const headers = { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new ServerError(response.status, body?.error?.message ?? `The server answered ${response.status}.`);
}

function inWords(error) {
  if (error.status === 429) return "The model is busy with other chats. Try again in a moment.";
  if (error.status === 401) return "This server asks for an API key: enter it under Settings.";
  if (error instanceof TypeError) return "The connection to the server was lost. Is it still running?";
  return error.message.charAt(0).toUpperCase() + error.message.slice(1);
}

async function loadModel() {
  const { data } = await (await request("/v1/models")).json();
  model = data[0];
  const { num_params, step } = model.nanochat;
  const size = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 2 }).format(num_params);
  $("model-name").textContent = model.id;
  const [steps, memory] = [step, model.max_model_len].map((number) => number.toLocaleString("en"));
  $("empty-text").textContent = `${size} parameters\u00a0· step ${steps}\u00a0· remembers ${memory} tokens`;
  showSettings();
}

const lookForModel = () => loadModel().catch((error) => {
  if (error.status === 401) $("key-row").hidden = false;
  toast(inWords(error));
});

/** What the server gets of a chat: its end, as much as a request may hold (the server drops what the model cannot
 *  remember). Answers that failed before their first word are left out. */
function toHistory(chat) {
  const recent = chat.messages
    .filter((message) => message.role === "user" || message.parts.length)
    .map((message) => message.role === "user" ? { role: "user", content: message.content }
      : { role: "assistant", content: visibleText(message), parts: message.parts })
    .slice(-MAX_SENT_MESSAGES);
  const isTooMuch = () => recent[0].role === "assistant" || JSON.stringify(recent).length > MAX_SENT_CHARS;
  while (recent.length > 1 && isTooMuch()) recent.shift();
  return recent;
}

function send(text) {
  if (!text.trim() || running.has(current.id)) return;
  chats.set(current.id, current);
  if (!current.messages.length) {
    current.title = text.trim().replace(/\s+/g, " ").slice(0, 80);
    history.pushState(null, "", `#${current.id}`);
    document.title = `${current.title} · nanochat`;
  }
  const message = { role: "user", content: text.trim() };
  const before = current.messages.at(-1);
  current.messages.push(message);
  if (before) paint(before); // it is not the last any more: no more answering again
  showMessage(message);
  $("message").value = "";
  grow();
  ask(current);
}

/** Lets the model answer the last user message; an answer that is already there makes room for the new one. */
async function ask(chat) {
  if (running.has(chat.id)) return;
  if (chat.messages.at(-1)?.role === "assistant") {
    views.get(chat.messages.pop())?.root.remove();
  }
  const messages = toHistory(chat);
  const message = { role: "assistant", parts: [], state: "live" };
  const controller = new AbortController();
  running.set(chat.id, controller);
  chat.updated = Date.now();
  saveChat(chat); // the question survives a reload, the half answer does not
  chat.messages.push(message);
  showMessage(message);
  update();
  renderList();
  follow(true);
  try {
    if (!model) await loadModel();
    await receive(message, messages, controller.signal);
  } catch (error) {
    if (error.status === 404) model = null; // another model is served by now: look again
    if (error.status === 401) $("key-row").hidden = false;
    message.state = error.name === "AbortError" ? "stopped" : "error";
    if (message.state === "error") message.error = inWords(error);
  }
  running.delete(chat.id);
  chat.updated = Date.now();
  saveChat(chat);
  paint(message);
  update();
  renderList();
  follow();
  if (chat === current) announce(message);
}

async function receive(message, messages, signal) {
  const body = JSON.stringify({ model: model.id, messages, stream: true, ...settings() });
  const response = await request("/v1/chat/completions", { method: "POST", body, signal });
  let isDrawn = true;
  const draw = () => {
    isDrawn = true;
    if (message.state !== "live") return; // the end is drawn by `ask`; the buttons under it must not be replaced again
    paint(message);
    follow();
  };
  for await (const data of readEvents(response.body)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ServerError(0, chunk.error.message);
    const [choice] = chunk.choices;
    addParts(message.parts, choice?.delta.parts ?? []);
    if (choice?.finish_reason) {
      message.timings = chunk.timings;
      message.state = choice.finish_reason;
    }
    if (isDrawn) requestAnimationFrame(draw);
    isDrawn = false;
  }
  if (message.state === "live") throw new TypeError("the stream ended early");
}

function addParts(parts, pieces) {
  for (const { type, text } of pieces) {
    if (parts.at(-1)?.type === type) parts.at(-1).text += text;
    else parts.push({ type, text });
  }
}

/** One announcement per answer, for those who listen to the page instead of looking at it. */
function announce(message) {
  if (message.error) return; // shown as an alert, which is announced by itself
  const say = (node) => (node.ariaLabel ? `${node.ariaLabel}: ` : "") + node.textContent.trim();
  const said = [...views.get(message).body.childNodes].map(say);
  $("announcer").textContent = `Answer: ${said.join(" ")}`;
}

// ---------------------------------------------------------------------------
// Settings and theme

const SETTINGS = { temperature: [0, 2], top_p: [0.05, 1], max_tokens: [1, Infinity] };

/** The server's defaults, with what this person changed. */
function settings() {
  const changed = Object.entries(load("nanochat.settings", {})).filter(([name, value]) => isSetting(name, value));
  return { ...model.nanochat.defaults, ...Object.fromEntries(changed) };
}

function isSetting(name, value) {
  const [low, high] = SETTINGS[name] ?? [];
  return typeof value === "number" && value >= low && value <= high;
}

function showSettings() {
  for (const [name, value] of Object.entries(settings())) {
    $(name).value = value;
    if ($(`${name}-value`)) $(`${name}-value`).textContent = Number(value).toFixed(2);
  }
  $("max_tokens").max = model.max_model_len;
  $("key").value = load("nanochat.key", "");
}

function changeSetting(name) {
  const value = $(name).valueAsNumber;
  if (!model || !isSetting(name, value)) return;
  const kept = name === "max_tokens" ? Math.round(value) : value;
  save("nanochat.settings", { ...load("nanochat.settings", {}), [name]: kept });
  if ($(`${name}-value`)) $(`${name}-value`).textContent = value.toFixed(2);
}

const systemTheme = matchMedia("(prefers-color-scheme: dark)");
function showTheme() {
  const theme = load("nanochat.theme", null);
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  const isDark = theme ? theme === "dark" : systemTheme.matches;
  $("theme").setAttribute("aria-pressed", isDark);
  $("theme").replaceChildren(icon(isDark ? "sun" : "moon"));
  document.querySelector("meta[name=theme-color]").content = getComputedStyle(document.body).backgroundColor;
}

// ---------------------------------------------------------------------------
// Controls

const isNarrow = matchMedia("(max-width: 820px)");
function openSidebar() {
  document.body.classList.add("is-open");
  $("open-sidebar").setAttribute("aria-expanded", "true");
  syncSidebar();
  $("new-chat").focus();
}

function closeSidebar() {
  if (!document.body.classList.contains("is-open")) return;
  document.body.classList.remove("is-open");
  $("open-sidebar").setAttribute("aria-expanded", "false");
  syncSidebar();
  $("open-sidebar").focus();
}

/** What is out of sight or behind the drawer cannot be reached with the keyboard either. */
function syncSidebar() {
  const isOpen = document.body.classList.contains("is-open");
  $("sidebar").inert = isNarrow.matches && !isOpen;
  $("main").inert = isNarrow.matches && isOpen;
}

function grow() {
  $("message").style.height = "auto";
  $("message").style.height = `${$("message").scrollHeight}px`;
  update();
}

function startNewChat() {
  if (current.messages.length) openChat(newChat());
  closeSidebar();
  $("message").focus();
}

function openFromAddress() {
  const chat = chats.get(location.hash.slice(1));
  if (chat !== current || !current) openChat(chat ?? newChat());
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send($("message").value);
});
$("message").addEventListener("input", grow);
$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send($("message").value);
});
$("stop").addEventListener("click", () => {
  running.get(current.id)?.abort();
  $("message").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing) {
    if (document.body.classList.contains("is-open")) closeSidebar();
    else if (!$("settings").matches(":popover-open")) running.get(current.id)?.abort();
  }
  if (event.key.toLowerCase() === "o" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    startNewChat();
  }
});
$("scroller").addEventListener("scroll", () => {
  const { scrollTop, scrollHeight, clientHeight } = $("scroller");
  isFollowing = scrollHeight - scrollTop - clientHeight < 48;
  $("jump").hidden = isFollowing;
}, { passive: true });
$("jump").addEventListener("click", () => follow(true));
$("new-chat").addEventListener("click", startNewChat);
$("open-sidebar").addEventListener("click", openSidebar);
$("close-sidebar").addEventListener("click", closeSidebar);
$("backdrop").addEventListener("click", closeSidebar);
isNarrow.addEventListener("change", syncSidebar);
$("theme").addEventListener("click", () => {
  const isDark = $("theme").getAttribute("aria-pressed") === "true";
  save("nanochat.theme", isDark ? "light" : "dark");
  showTheme();
});
systemTheme.addEventListener("change", showTheme);
for (const name of Object.keys(SETTINGS)) $(name).addEventListener("input", () => changeSetting(name));
$("key").addEventListener("change", () => {
  save("nanochat.key", $("key").value);
  lookForModel();
});
$("reset").addEventListener("click", () => {
  localStorage.removeItem("nanochat.settings");
  if (model) showSettings();
});
window.addEventListener("popstate", openFromAddress);
window.addEventListener("storage", (event) => {
  if (!event.key?.startsWith(CHAT_PREFIX)) return;
  loadChats();
  if (!running.has(current.id) && chats.has(current.id)) openChat(chats.get(current.id));
  else renderList();
});

$("suggestions").append(...SUGGESTIONS.map((text) =>
  el("li", {}, el("button", { className: "chip", textContent: text, onclick: () => send(text) }))));
showTheme();
syncSidebar();
loadChats();
openFromAddress();
lookForModel();
