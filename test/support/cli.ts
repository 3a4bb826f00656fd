import { runCli, type Io } from "@ergon/node/cli";

/** What a command line has said and how it ended. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, as on a pipe unless `terminal`. */
export async function ergon(
  args: readonly string[],
  more: {
    readonly env?: Io["env"];
    readonly input?: string;
    readonly terminal?: boolean;
    /** How wide the terminal is. */
    readonly columns?: number;
    /** Hears what goes to standard error, as it goes there. */
    readonly onErr?: (text: string) => void;
  } = {},
): Promise<Said> {
  const out: Uint8Array[] = [];
  const err: Uint8Array[] = [];
  const code = await runCli(args, {
    stdin: Object.assign(
      (async function* () {
        yield more.input ?? "";
      })(),
      { isTTY: more.terminal === true },
    ),
    stdout: {
      write: (chunk) => out.push(Buffer.from(chunk as string)),
      isTTY: more.terminal === true,
      columns: more.columns,
    },
    stderr: {
      isTTY: more.terminal === true,
      columns: more.columns,
      write: (chunk) => {
        err.push(Buffer.from(chunk as string));
        more.onErr?.(Buffer.from(chunk as string).toString());
      },
    },
    env: more.env ?? {},
    keepGoing: () => undefined,
    onSignal: () => () => undefined,
  });
  return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}
