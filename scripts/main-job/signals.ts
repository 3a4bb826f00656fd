import { Stopped } from "./stop-reason.ts";

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const LOOK_MS = 500;

/** Rejects at the first request to stop, or when the process that started this one has died. */
export function untilSignal(): { readonly promise: Promise<never>; forget(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (signal: keyof typeof SIGNALS): void =>
    reject(new Stopped("stopped before the end; every process is gone", SIGNALS[signal]));
  for (const signal of Object.keys(SIGNALS)) process.on(signal, stop);
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid !== parent) reject(new Stopped("stopped: whoever started the job is gone"));
  }, LOOK_MS);
  return {
    promise,
    forget: () => {
      clearInterval(timer);
      for (const signal of Object.keys(SIGNALS)) process.off(signal, stop);
    },
  };
}
