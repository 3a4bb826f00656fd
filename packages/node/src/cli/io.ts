import { exitCodes } from "./exit-codes.ts";

/** A destination of text. */
export interface Sink {
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** The surroundings of a command, which a process or a test provides. */
export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean | undefined };
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From here on the command continues to serve after the reader of its output has gone away. */
  keepGoing(): void;
  /** Calls `handler` at each request of the user or the system to stop. Returns a function that removes the handler. */
  onSignal(handler: (signal: NodeJS.Signals) => void): () => void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Describes this process. If a reader goes away (`| head`), the process ends silently. If a write fails for another reason (a full disk), it ends with a
 * message.
 */
export function processIo(): Io {
  let keepsGoing = false;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", ({ code = "", message }: NodeJS.ErrnoException) => {
      if (keepsGoing) return;
      if (code === "EPIPE") process.exit(process.exitCode ?? 0);
      if (stream !== process.stderr)
        process.stderr.write(`ergon: INTERNAL: the output cannot be written: ${message}\n`);
      process.exit(exitCodes.internal.code);
    });
  }
  return {
    keepGoing: () => {
      keepsGoing = true;
    },
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    onSignal: (handler) => {
      for (const signal of SIGNALS) process.on(signal, handler);
      return () => {
        for (const signal of SIGNALS) process.off(signal, handler);
      };
    },
  };
}
