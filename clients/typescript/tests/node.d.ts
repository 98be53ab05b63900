// What the tests and examples use of Node.js. The package itself has no types of a platform but those of `fetch`.
declare module "node:test" {
  export default function test(name: string, run: () => void | Promise<void>): void;
}
declare module "node:assert/strict" {
  const assert: {
    (value: unknown, message?: string): asserts value;
    equal(is: unknown, should: unknown, message?: string): void;
    deepEqual(is: unknown, should: unknown, message?: string): void;
    throws(run: () => unknown, error: object): void;
    rejects(work: Promise<unknown>, error: object): Promise<void>;
  };
  export default assert;
}
declare module "node:util" {
  export function inspect(value: unknown, options: { depth: number; showHidden: boolean }): string;
}
declare module "node:fs" {
  export function readFileSync(path: string, encoding: "utf8"): string;
  export function writeFileSync(path: string, text: string, options?: { mode: number }): void;
  export function existsSync(path: string): boolean;
  export function rmSync(path: string): void;
}
declare module "node:readline" {
  export function createInterface(options: { input: unknown }): AsyncIterable<string>;
}
declare module "node:net" {
  export interface Socket {
    destroyed: boolean;
    on(event: "data", run: (bytes: Uint8Array) => void): this;
    on(event: "close" | "end", run: () => void): this;
    on(event: "error", run: (error: Error) => void): this;
    write(bytes: Uint8Array | string): boolean;
    end(bytes?: string): void;
    destroy(): void;
    resetAndDestroy(): void;
    unref(): void;
  }
  export interface Server {
    listen(port: number, host: string, ready: () => void): this;
    address(): { port: number };
    close(): void;
  }
  export function createServer(accept: (socket: Socket) => void): Server;
  export function connect(port: number, host: string): Socket;
}
declare function setImmediate(run: () => void): void;
declare const process: {
  argv: string[];
  stdin: unknown;
  stdout: { write(text: string): void };
  exit(code: number): never;
};
