/** How long a test waits for what must come, in milliseconds: on a busy machine it comes late. */
export const patienceMs = 60_000;
