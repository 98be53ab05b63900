// A phone on a terminal: `node phone.ts SERVER TOKEN-FILE`, then one command a line.
//
//   claim HANDLE       sends a code to a handle
//   code DIGITS        answers it: the handle is this phone's
//   ask HANDLE...      which way do messages to these people go, alone and together?
//   failed HANDLE      a message was not delivered: asks again, whatever is remembered
//   check-in           renews the lease; a real phone does it once a day
//   sign-out           ends the phone
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { DispatchdError, type Item, Phone } from "@dispatchd/client";

const [server, tokenFile] = process.argv.slice(2);
if (server === undefined || tokenFile === undefined) {
  console.error("usage: node phone.ts SERVER TOKEN-FILE");
  process.exit(64);
}
/** The country of the person's SIM card. */
const region = "US";
const phone = await start(server, tokenFile);
let verification: string | undefined;

/** The phone that signed up earlier, or a new one. A real phone keeps the token in its key store. */
async function start(server: string, tokenFile: string): Promise<Phone> {
  if (existsSync(tokenFile)) return new Phone(server, readFileSync(tokenFile, "utf8"));
  const phone = await Phone.signUp(server, { platform: "other", name: "terminal" });
  writeFileSync(tokenFile, phone.revealToken(), { mode: 0o600 });
  return phone;
}

function bubble(item: Item): string {
  // A route of a newer server has no reason.
  if ("error" in item) return item.error.reason === undefined ? `not known (${item.error.code})` : `no handle: ${item.error.reason}`;
  switch (item.route) {
    case "imessage":
      return `blue, thread ${item.subject}`;
    case "sms":
      return "green";
    case "none":
      return "no route: ask the person for a number";
  }
}

async function obey(command: string, words: string[]): Promise<string> {
  switch (command) {
    case "claim": {
      const claimed = await phone.claim(words.join(" "), { region });
      if (!("verification" in claimed)) return `${claimed.handle} is yours`;
      verification = claimed.verification;
      return `a code was sent by ${claimed.sent_by}`;
    }
    case "code":
      if (verification === undefined) return "claim a handle first";
      return `${(await phone.confirm(verification, words.join(" "))).handle} is yours`;
    case "ask": {
      const { answers, together } = await phone.lookupAll(words, { region });
      return [...answers.map((item) => `${item.input}: ${bubble(item)}`), `together: ${together}`].join("\n");
    }
    case "failed":
      return bubble(await phone.lookup(words.join(" "), { region, fresh: true }));
    case "check-in":
      return `live for ${Math.round((await phone.checkIn()).expires_in / 86_400)} days`;
    case "sign-out":
      await phone.signOut();
      rmSync(tokenFile!);
      return "signed out";
    default:
      return "no such command";
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command = "", ...words] = line.trim().split(/\s+/);
  try {
    console.log(await obey(command, words));
  } catch (error) {
    if (!(error instanceof DispatchdError)) throw error;
    // Nobody knows the route. The message waits, and the person may choose to send it as text.
    console.log(error.retry === "later" ? `not now (${error.code}): the message waits` : `refused: ${error.code}`);
  }
  if (command === "sign-out") break;
}
// An input that stays open would keep the program running.
process.exit(0);
