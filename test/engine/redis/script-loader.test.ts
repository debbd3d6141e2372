import { describe, expect, it } from 'vitest';
import { checkScript } from '../../../engine/redis/script-loader.ts';
import { scripts } from '../../../engine/redis/scripts.ts';

const check = (text: string) => () => checkScript('some.lua', text);

describe('the loader', () => {
  it('accepts every script of ours', () => {
    expect(scripts.length).toBeGreaterThan(10);
    expect(new Set(scripts.map((script) => script.sha)).size).toBe(scripts.length);
  });

  it('accepts a script that uses exactly what it declares', () => {
    expect(
      check(
        '-- KEYS[1] a\n-- ARGV[1] b\n-- ARGV[2..] c\nlocal a = KEYS[1], ARGV[1]\nfor i = 2, #ARGV do x(ARGV[i]) end',
      ),
    ).not.toThrow();
  });

  it.each([
    ['-- KEYS[1] a\nreturn KEYS[2]', 'KEYS[2] is used but not declared'],
    ['-- KEYS[1] a\n-- KEYS[2] b\nreturn KEYS[1]', 'KEYS[2] is declared but not used'],
    ['-- KEYS[2] a\nreturn KEYS[2]', 'KEYS[2] is declared out of order'],
    ['-- ARGV[1..] a\n-- ARGV[2] b\nreturn ARGV[2]', 'ARGV[1..] must be declared last'],
    ['-- ARGV[1..] a\nreturn 1', 'ARGV[1..] is not used'],
    ['-- KEYS[1] a\nreturn KEYS[i], KEYS[1]', 'KEYS is indexed beyond what it declares'],
    ['return ARGV[1]', 'ARGV[1] is used but not declared'],
  ])('refuses %j', (text, why) => {
    expect(check(text)).toThrow(why);
  });

  it('is not misled by comments', () => {
    expect(check('-- KEYS[1] a\nreturn KEYS[1]\n-- once there was KEYS[2]')).not.toThrow();
  });
});
