/**
 * Command lines as `parseArgs` wants them. It refuses a value that begins with a dash and stands by itself, such
 * as a place south of the equator or some users' ids; beside an equals sign it takes it. No command of ours has
 * flags of one letter, so it can be nothing else.
 */
export function joinValues(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of argv) {
    const before = joined.at(-1) ?? '';
    if (/^-[^-]/.test(word) && /^--[\w-]+$/.test(before)) joined.splice(-1, 1, `${before}=${word}`);
    else joined.push(word);
  }
  return joined;
}
