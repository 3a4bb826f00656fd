/** The part of an agent that stops it. */
interface Stoppable {
  stop(options?: { readonly drainMs?: number }): Promise<void>;
}

/** Stops the agent at a signal, at once at a second signal, and then lets the signal have its usual effect. Returns a function that stops listening. */
export function listen(signals: readonly NodeJS.Signals[], agent: Stoppable): () => void {
  let heard = false;
  const deafen = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (heard) return void agent.stop({ drainMs: 0 });
    heard = true;
    void agent.stop().then(() => {
      deafen();
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
    });
  };
  for (const signal of signals) process.on(signal, onSignal);
  return deafen;
}
