import { exitCodes } from "./exit-codes.ts";
import type { Io } from "./io.ts";
import type { Session } from "./session.ts";

/** Says how to stop what has just been started; called in the reverse order. */
export type OnStop = (stop: () => Promise<unknown>) => void;

/**
 * Runs what serves until it is told to stop: the first SIGINT, SIGTERM or SIGHUP stops it gracefully, also while it starts; a second
 * quits. What `start` answers is awaited too: something that must not end by itself. An error on the way stops everything.
 */
export async function runService(
  { io, output }: Session,
  start: (onStop: OnStop) => Promise<Promise<never> | void>,
): Promise<number> {
  const stops: (() => Promise<unknown>)[] = [];
  const signals = countSignals(io);
  const running = (async () => {
    const ending = await start((stop) => stops.push(stop));
    await (ending ?? new Promise<never>(() => undefined));
  })();
  // After the first signal nobody asks how the start ended.
  running.catch(() => undefined);
  try {
    await Promise.race([running, signals.first]);
    if (signals.seen > 0) output.note("stopping; once more to quit at once");
    return exitCodes.done.code;
  } finally {
    await Promise.race([stopAll(stops), signals.second]);
    signals.forget();
  }
}

async function stopAll(stops: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (const stop of [...stops].reverse()) await stop();
}

function countSignals(io: Io) {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  let seen = 0;
  const forget = io.onSignal(() => {
    seen += 1;
    if (seen === 1) first.resolve();
    else second.resolve();
  });
  return {
    first: first.promise,
    second: second.promise,
    forget,
    get seen() {
      return seen;
    },
  };
}
