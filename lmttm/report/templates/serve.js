
const DATA = JSON.parse(document.getElementById("data").textContent);
const STATE = document.getElementById("state"), ANSWER = document.getElementById("answer");

function say(text, failed) {
  STATE.textContent = text;
  STATE.className = failed ? "notice" : "";
}

async function ask(url, body, name) {
  say(`${name}: please wait`, false);
  ANSWER.replaceChildren();
  delete ANSWER.dataset.ready;
  try {
    const response = await fetch(url, { method: "POST", body });
    const found = await response.json();
    if (!response.ok) say(`${name}: ${found.error || "it cannot be read"}`, true);
    else await show(found, name);
  } catch (error) {
    say(`${name}: the server does not answer`, true);
  }
}

async function show(found, name) {
  const table = document.createElement("table");
  for (const [label, chance] of found.shown) {
    const row = table.insertRow();
    row.className = label === found.prediction ? "ours" : "";
    row.insertCell().textContent = label;
    const cell = row.insertCell();
    cell.className = "number";
    cell.textContent = chance;
  }
  const part = document.createElement("div");
  part.innerHTML = found.html; // made and escaped by the server
  ANSWER.replaceChildren(table, part);
  if (found.heat) {
    const file = Uint8Array.from(atob(found.heat), (letter) => letter.charCodeAt(0));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([file], { type: "application/gzip" }));
    link.download = `${name.replace(/(\.(nii|npy|npz|zip|dcm|dicom|ima))?(\.gz)?$/i, "")}-heat.nii.gz`;
    link.className = "button";
    link.textContent = "Download the heat map (NIfTI)";
    ANSWER.insertBefore(link, part);
  }
  say(`${name}: predicted ${found.prediction}`, false);
  await start(ANSWER, found.data);
}

function send(file) {
  if (!file) return;
  if (file.size > DATA.largest) say(`${file.name}: an upload must have at most ${DATA.largest / 2 ** 20} MB`, true);
  else ask(`/explain?name=${encodeURIComponent(file.name)}`, file, file.name);
}

const DROP = document.getElementById("drop"), FILE = document.getElementById("file");
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  DROP.addEventListener(kind, (event) => {
    event.preventDefault();
    DROP.classList.toggle("over", kind === "dragenter" || kind === "dragover");
  });
}
DROP.addEventListener("drop", (event) => send(event.dataTransfer.files[0]));
FILE.addEventListener("change", () => send(FILE.files[0]));
document.querySelectorAll("[data-example]").forEach((button) => {
  button.addEventListener("click", () => ask(`/example/${button.dataset.example}`, "", button.textContent));
});
