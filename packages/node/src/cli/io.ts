import { exitCodes } from "./exit-codes.ts";

/** Where text goes. */
export interface Sink {
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** The surroundings of a command: a process's, or a test's. */
export interface Io {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean | undefined };
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From here on a reader that goes away is none of our business: what we serve goes on. */
  keepGoing(): void;
  /** Calls `handler` at each of the user's or the system's requests to stop; answers how to listen no more. */
  onSignal(handler: (signal: NodeJS.Signals) => void): () => void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** This process. A reader that goes away (`| head`) ends it in peace; what cannot be written for another reason (a full disk) ends it with a word. */
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
