/** What the process does on signals: the one place that listens for them. */
export interface SignalHandlers {
  /** SIGTERM, SIGINT: once. A second one ends the process at once, with exit code 1. */
  stop(signal: NodeJS.Signals): void;
  /** SIGHUP, until the process stops. */
  reload(): void;
  /** Called for the second signal, before the process exits. */
  stoppedTwice(signal: NodeJS.Signals): void;
}

export function handleSignals(handlers: SignalHandlers): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      handlers.stoppedTwice(signal);
      process.exit(1);
    }
    stopping = true;
    handlers.stop(signal);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => {
    if (!stopping) handlers.reload();
  });
}
