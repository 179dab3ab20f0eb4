// What the page does beyond forms: drop and upload with progress, follow a run, zoom figures.
"use strict";

const find = (selector, within = document) => within.querySelector(selector);

function upload() {
  const form = find("#upload");
  if (!form) return;
  const [file, sent, wrong] = ["#file", "#sent", "#upload-wrong"].map((one) => find(one));
  for (const kind of ["dragenter", "dragover"])
    form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  for (const kind of ["dragleave", "drop"])
    form.addEventListener(kind, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const call = new XMLHttpRequest();
    const fail = (why) => { sent.hidden = true; wrong.textContent = why; file.focus(); };
    wrong.textContent = "";
    sent.hidden = false;
    const size = [...file.files].reduce((sum, one) => sum + one.size, 0);
    call.upload.onprogress = (now) => { sent.value = size ? Math.min(1, now.loaded / size) : 0; };
    call.onload = () => call.status < 300 ? location.assign(call.responseURL) : fail(call.responseText);
    call.onerror = () => fail("The file did not arrive: it is larger than the page takes, or the page has ended.");
    call.open("POST", form.action);
    call.setRequestHeader("Accept", "text/plain");
    call.send(new FormData(form));
  });
}

// Follow a talk: progress goes straight into the page; when more changes, its parts are drawn anew.
function follow() {
  const talk = find("#talk");
  if (!talk || !find("[data-live]", talk)) return;
  const said = find("#said");
  let spoken = "";
  const speak = (text) => { if (text && text !== spoken) said.textContent = spoken = text; };
  const source = new EventSource(`${talk.dataset.talk}/events`);
  // A page that was restarted is found again by itself; one that knows us no more says so.
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) location.reload(); };
  source.onmessage = async (event) => {
    const now = JSON.parse(event.data);
    const live = find("[data-live]", talk);
    if (!live || live.dataset.key !== now.key) {
      source.close();
      await refresh(talk);
      speak(summary(talk));
      follow();
      return;
    }
    const line = find("[data-line]", live);
    if (line) line.textContent = now.line;
    for (const step of now.steps) show(live, step, speak);
    if (!now.steps.length) speak(now.line);
    if (!now.busy) source.close();
  };
}

function show(live, step, speak) {
  const row = find(`[data-step="${step.id}"]`, live);
  if (!row) return;
  if (row.dataset.status !== step.status)
    speak(`Step ${step.id.slice(1)}, ${row.querySelector("progress").getAttribute("aria-label")}: ${step.status}`);
  row.dataset.status = step.status;
  find("[data-mark]", row).textContent = step.status;
  find("[data-message]", row).textContent = step.line;
  const bar = find("progress", row);
  bar.hidden = step.share === null || step.status !== "running";
  if (step.share !== null) bar.value = step.share;
}

async function refresh(talk) {
  const answer = await fetch(`${talk.dataset.talk}/now`);
  if (!answer.ok) return location.reload();
  const made = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of [...made.body.children]) {
    const old = document.getElementById(part.id);
    if (!old) { find("#turns").append(part); continue; }
    if (old.dataset.key === part.dataset.key && part.id !== "ask") continue;
    const had = old.contains(document.activeElement);
    old.replaceWith(part);
    if (had && part.matches("article")) part.focus();
  }
  begin();
}

function summary(talk) {
  const turn = talk.querySelector("article.turn:last-of-type");
  if (!turn) return find("#data .wrong") ? "The file cannot be read." : "The file is open. Ask about it.";
  if (find(".plan", turn)) return "The plan is ready. Nothing has been run.";
  if (find("fieldset", turn)) return `A question: ${find("legend", turn).textContent}`;
  if (find(".report", turn)) return "The report is ready.";
  return find(".wrong", turn)?.textContent ?? "";
}

function zoom() {
  const dialog = find("#zoom");
  if (!dialog) return;
  const [pane, picture] = [find(".pane", dialog), find(".pane img", dialog)];
  let scale = 1;
  const fit = () => Math.min(1, pane.clientWidth / picture.naturalWidth, pane.clientHeight / picture.naturalHeight);
  const draw = (wanted) => {
    scale = Math.max(0.1, Math.min(8, wanted));
    picture.width = picture.naturalWidth * scale;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-figure]");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const small = find("img", link);
    find("#zoom-title").textContent = picture.alt = small.alt;
    picture.onload = () => draw(fit());
    picture.src = link.href;
    dialog.showModal();
    pane.focus();
  });
  const move = { in: () => draw(scale * 1.4), out: () => draw(scale / 1.4), fit: () => draw(fit()) };
  dialog.addEventListener("click", (event) => move[event.target.dataset.zoom]?.());
  dialog.addEventListener("keydown", (event) => {
    const key = { "+": "in", "=": "in", "-": "out", 0: "fit" }[event.key];
    if (key) { event.preventDefault(); move[key](); }
  });
  pane.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    draw(scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
  }, { passive: false });
}

function begin() {
  for (const button of document.querySelectorAll("[data-example]"))
    button.onclick = () => { const box = find("#request"); box.value = button.textContent; box.focus(); };
  const box = find("#request");
  if (box) box.onkeydown = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) box.form.requestSubmit();
  };
}

upload();
follow();
zoom();
begin();
