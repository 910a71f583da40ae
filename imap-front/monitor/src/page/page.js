"use strict";
// Sections of the page are sent when they have changed, each whole, by their ids.
(() => {
  const live = document.getElementById("live");
  const QUIET_MS = 5000;
  let heard = 0;
  let source = null;

  function say(word, text) {
    if (live.className !== word) {
      live.className = word;
      live.textContent = text;
    }
  }

  function show(sections) {
    for (const [id, html] of Object.entries(sections)) {
      const section = document.getElementById(id);
      if (section) {
        section.innerHTML = html;
      }
    }
  }

  function listen() {
    source = new EventSource("/events");
    source.onmessage = (event) => {
      heard = Date.now();
      show(JSON.parse(event.data));
      say("on", "live");
    };
    source.onerror = () => {
      say("off", "waiting for the server");
      // The browser tries again by itself, unless it was answered with something else.
      if (source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(listen, 2000);
      }
    };
  }

  setInterval(() => {
    if (heard > 0 && Date.now() - heard > QUIET_MS) {
      say("off", "waiting for the server");
    }
  }, 1000);
  listen();
})();
