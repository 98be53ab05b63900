// A TCP proxy between phones and server. Each connection works for some bytes and then fails in its own way.
import { type Socket, connect, createServer } from "node:net";
import type { Dice } from "./dice.ts";

const PAGE = "<!doctype html><title>Log in to this network</title><p>sms</p>";
const GATEWAY = "<h1>502 Bad Gateway</h1>";

/** What becomes of a connection: `page` and `gateway` answer in the place of the server. */
const FATES = ["drop", "cut", "cut", "truncate", "truncate", "mute", "page", "gateway"] as const;
type Fate = (typeof FATES)[number];

/** Bytes of answers after which a connection fails at the latest: some ten lookups, or a long list for some of the connections. */
const [BYTES_MAX, BYTES_MAX_OF_SOME] = [6_000, 400_000];
const DELAY_MS_MAX = 60;

export type FaultCounts = Record<Fate | "delay", number>;

/** Listens on a free port and returns it. */
export function startProxy(serverPort: number, dice: Dice, counts: FaultCounts): Promise<number> {
  const listener = createServer((phone) => carry(phone, serverPort, dice, counts));
  return new Promise((resolve) => listener.listen(0, "127.0.0.1", () => resolve(listener.address().port)));
}

function carry(phone: Socket, serverPort: number, dice: Dice, counts: FaultCounts): void {
  const fate = dice.of(FATES);
  let left = dice.below(dice.roll() < 0.2 ? BYTES_MAX_OF_SOME : BYTES_MAX);
  const delay = dice.roll() < 0.3 ? dice.below(DELAY_MS_MAX) : 0;
  if (delay > 0) counts.delay += 1;
  phone.on("error", () => phone.destroy());
  if (fate === "drop") {
    counts.drop += 1;
    return phone.resetAndDestroy();
  }
  if (fate === "page" || fate === "gateway") {
    const [status, text] = fate === "page" ? ["200 OK", PAGE] : ["502 Bad Gateway", GATEWAY];
    counts[fate] += 1;
    phone.on("data", () => phone.end(`HTTP/1.1 ${status}\r\ncontent-type: text/html\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`));
    return;
  }
  const server = connect(serverPort, "127.0.0.1");
  const later = (run: () => void) => (delay > 0 ? setTimeout(run, delay) : run());
  phone.on("data", (bytes) => server.write(bytes));
  phone.on("close", () => server.destroy());
  server.on("error", () => phone.destroy());
  server.on("close", () => later(() => left > 0 && phone.destroy()));
  server.on("data", (bytes) => {
    later(() => {
      if (left <= 0 || phone.destroyed) return;
      phone.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left > 0) return;
      counts[fate] += 1;
      if (fate === "cut") phone.resetAndDestroy();
      if (fate === "truncate") phone.end();
      server.destroy();
    });
  });
}
