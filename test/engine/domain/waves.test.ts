import { describe, expect, it } from 'vitest';
import { parseWavePlan } from '../../../engine/domain/waves.ts';

const parse = (text: string | undefined) => parseWavePlan(text, 30, 50);

describe('parseWavePlan', () => {
  it('offers a job to everyone in the radius at once when there is no plan', () => {
    expect(parse(undefined)).toEqual([{ radiusKm: 30, waitS: undefined }]);
  });

  it('reads radius and seconds before the next wave', () => {
    expect(parse('5:20,15:20.5,30')).toEqual([
      { radiusKm: 5, waitS: 20 },
      { radiusKm: 15, waitS: 20.5 },
      { radiusKm: 30, waitS: undefined },
    ]);
  });

  it.each([
    ['', 'part ""'],
    ['5:20', 'after its last wave'],
    ['5,30', 'no wait after its wave "5"'],
    ['5:0,30', 'wait 0'],
    ['5:4000,30', 'wait 4000'],
    ['0', 'radius 0'],
    ['51', 'radius 51'],
    ['15:20,5', 'not wider'],
    ['15:20,15', 'not wider'],
    ['5:20;30', 'part "5:20;30"'],
    ['-5', 'part "-5"'],
    ['1:1,2:1,3:1,4:1,5:1,6:1,7:1,8:1,9:1,10:1,11', 'more than 10'],
  ])('refuses %j and says why', (text, why) => {
    expect(() => parse(text)).toThrow(why);
  });
});
