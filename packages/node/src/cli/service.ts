import { exitCodes } from "./exit-codes.ts";
import type { Session } from "./session.ts";

/** A Ctrl-C reaches the whole process group, and those in it that started us pass it on: what comes so soon after the first is the same one. */
const SAME_SIGNAL_MS = 500;

/** So often it is said what a stop still waits for. */
const SAY_EVERY_MS = 5_000;

/**
 * Says how to stop what has just been started; called in the reverse order. `waitsFor` tells in words what the stop waits for, if for anything.
 */
export type OnStop = (stop: () => Promise<unknown>, waitsFor?: () => string | undefined) => void;

/**
 * Starts what serves, and serves until it is told to stop: the first SIGINT, SIGTERM or SIGHUP stops it gracefully, also while it
 * starts; a second, 500 ms later or more, quits. The reader of its output may close it. An error of `start`, which may go on as long as the service, stops everything too.
 */
export async function runService(
  { io, output }: Session,
  start: (onStop: OnStop) => Promise<unknown>,
): Promise<number> {
  io.keepGoing();
  const stops: (readonly [stop: () => Promise<unknown>, waitsFor: (() => string | undefined) | undefined])[] = [];
  const told = Promise.withResolvers<void>();
  const hurried = Promise.withResolvers<number>();
  let firstAt: number | undefined;
  const forget = io.onSignal(() => {
    const now = performance.now();
    firstAt ??= now;
    told.resolve();
    if (now - firstAt >= SAME_SIGNAL_MS) hurried.resolve(exitCodes.interrupted.code);
  });
  const failed = new Promise<never>((_, reject) => {
    start((stop, waitsFor) => stops.push([stop, waitsFor])).catch(reject);
  });
  // Once it has been told to stop, nobody asks how the start ended.
  failed.catch(() => undefined);
  const stopped = async (): Promise<number> => {
    for (const [stop, waitsFor] of stops.toReversed()) {
      const say = (): void => {
        const what = waitsFor?.();
        if (what !== undefined) output.note(`waiting for ${what}`);
      };
      say();
      const timer = setInterval(say, SAY_EVERY_MS);
      await stop().finally(() => clearInterval(timer));
    }
    return exitCodes.done.code;
  };
  try {
    await Promise.race([failed, told.promise]);
    output.note("stopping; press Ctrl-C again to quit at once");
    return await Promise.race([stopped(), hurried.promise]);
  } catch (error) {
    await Promise.race([stopped(), hurried.promise]);
    throw error;
  } finally {
    forget();
  }
}
