"use strict";
// Refreshes the tree while the page is visible; a server that is away leaves the last picture, dimmed.
const live = document.getElementById("live");
async function refresh() {
  if (document.hidden) return;
  try {
    const reply = await fetch("/console/live");
    if (reply.ok) live.innerHTML = await reply.text();
    live.style.opacity = reply.ok ? "" : "0.4";
  } catch {
    live.style.opacity = "0.4";
  }
}
if (live) setInterval(refresh, 1000);
