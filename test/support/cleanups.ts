/** What a test file has started. Undone in reverse at its end, wherever in it that was. */
export const cleanups: (() => Promise<void> | void)[] = [];
/** What a single test has started. Undone in reverse at its end. */
export const closers: (() => unknown)[] = [];
