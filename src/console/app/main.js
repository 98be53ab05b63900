// The start.

import { Api } from "./api.js";
import { listen } from "./keys.js";
import { Router } from "./router.js";
import { Session } from "./session.js";
import { Shell } from "./shell.js";

const session = new Session();
const api = new Api(session);
const shell = new Shell(session, api);
const router = new Router(
  { api, session, say: (text) => shell.say(text), command: (words, audited) => shell.command(words, audited) },
  shell,
);
shell.showKeys = listen((view) => router.go(view));

let token = session.token;
session.addEventListener("change", () => {
  if (session.token === token) return;
  token = session.token;
  if (token === null) router.forget();
  begin(true);
});
api.addEventListener("back", () => router.showAgain());

/** @param {boolean} hasEntered whether somebody has just signed in: their focus was in a form that is gone */
function begin(hasEntered) {
  if (session.token === null) {
    shell.askForToken();
  } else {
    shell.open();
    router.show(hasEntered);
  }
}

begin(false);
