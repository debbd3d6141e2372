/** The live map's arithmetic: what the camera shows, where drivers are between their fixes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distanceKm } from '../../engine/domain/distance.ts';

const load = (name: string) =>
  import(new URL(`../../api/ops/static/map/${name}.js`, import.meta.url).href);
const { Camera } = await load('camera');
const { boundsOf } = await load('bounds');
const { Movement } = await load('movement');
const { circle, toLat, toLng, toX, toY } = await load('mercator');
const { ViewRequest } = await load('view-request');

const lat = fc.double({ min: -80, max: 80, noNaN: true });
const lng = fc.double({ min: -180, max: 180, noNaN: true });

function cameraAt(place: { lat: number; lng: number }, zoom: number) {
  const camera = new Camera();
  camera.resize(1000, 700);
  camera.lookAt(place.lat, place.lng, zoom);
  return camera;
}

describe('the camera', () => {
  it('stands in the address so that it looks at the same again', () => {
    fc.assert(
      fc.property(lat, lng, fc.double({ min: 2, max: 18, noNaN: true }), (lat, lng, zoom) => {
        const camera = cameraAt({ lat, lng }, zoom);
        const again = cameraAt({ lat: 0, lng: 0 }, 3);
        expect(again.lookAtText(String(camera))).toBe(true);
        // Within a pixel or two of the middle.
        expect(Math.abs(again.screenX(camera.x) - 500)).toBeLessThan(2);
        expect(Math.abs(again.screenY(camera.y) - 350)).toBeLessThan(2);
      }),
    );
    for (const text of ['', '1,2', 'a,b,c', '1,2,3,4', '1,,3x']) {
      expect(cameraAt({ lat: 0, lng: 0 }, 3).lookAtText(text), text).toBe(false);
    }
  });

  it('keeps in place what is zoomed at', () => {
    fc.assert(
      fc.property(lat, lng, fc.integer({ min: 0, max: 1000 }), (lat, lng, px) => {
        const camera = cameraAt({ lat, lng }, 8);
        const x = camera.x + (px - 500) / camera.scale;
        camera.zoomBy(1.5, px, 350);
        expect(camera.screenX(x)).toBeCloseTo(px, 3);
      }),
    );
  });

  it('shows all of what it is fitted on, over the antimeridian too', () => {
    const islands = [
      { lat: -17, lng: 178.5 },
      { lat: -16, lng: -179.2 },
      { lat: -18, lng: 177.4 },
    ];
    const camera = cameraAt({ lat: 0, lng: 0 }, 3);
    camera.fit(boundsOf(islands));
    for (const { lat, lng } of islands) expect(camera.sees(lat, lng)).toBe(true);
    expect(camera.zoom).toBeGreaterThan(6);
    const [west, , east] = camera.box();
    expect(west).toBeGreaterThan(east);
  });

  it('is not led away by a few phones that say 0,0', () => {
    const fleet = Array.from({ length: 400 }, (_, n) => ({ lat: 37 + n / 1000, lng: -122 }));
    const bounds = boundsOf([...fleet, { lat: 0, lng: 0 }, { lat: null, lng: null }]);
    expect(bounds.south).toBeGreaterThan(36);
    expect(boundsOf([{ lat: null, lng: null }])).toBeNull();
  });
});

describe('a circle on the map', () => {
  it('is everywhere as far from its middle as the server measures', () => {
    fc.assert(
      fc.property(lat, lng, fc.double({ min: 1, max: 50, noNaN: true }), (lat, lng, km) => {
        const outline: Float64Array = circle({ lat, lng }, km);
        for (let i = 0; i < outline.length; i += 2) {
          const there = { lat: toLat(outline[i + 1]), lng: toLng(outline[i]) };
          expect(distanceKm({ lat, lng }, there)).toBeCloseTo(km, 3);
        }
      }),
    );
  });
});

describe('a driver between two fixes', () => {
  const moving = () => {
    const movement = new Movement();
    movement.grow(8);
    movement.put(1, 10, 179.9, 0);
    return movement;
  };

  it('goes evenly from where he is seen, the short way round the world', () => {
    const movement = moving();
    movement.move(1, 10, -179.9, 1000);
    const off = (now: number) => movement.xAt(1, now) - toX(180);
    const distance = (x: number) => Math.abs(x - Math.round(x)) * 360;
    expect(distance(off(1000))).toBeCloseTo(0.1, 6);
    expect(distance(off(1000 + 575))).toBeCloseTo(0, 6);
    expect(movement.xAt(1, 5000)).toBe(toX(-179.9));
    expect(movement.yAt(1, 5000)).toBe(toY(10));
    expect(movement.until).toBeGreaterThan(2000);
  });

  it('is where he was told to be at once for who asked for less motion, and nowhere once forgotten', () => {
    const movement = moving();
    movement.isStill = true;
    movement.move(1, 11, 179, 1000);
    expect(movement.yAt(1, 1000)).toBe(toY(11));
    expect(movement.until).toBe(0);
    movement.forget(1);
    expect(movement.knows(1)).toBe(false);
    expect(movement.xAt(1, 1000)).toBeNaN();
  });
});

describe('the view that is asked for', () => {
  it('is another one only when what is in sight leaves it, or is much nearer', () => {
    const asked: number[][] = [];
    const request = new ViewRequest((box: number[]) => asked.push(box));
    const camera = cameraAt({ lat: 0, lng: 179 }, 7);
    request.follow(camera);
    camera.pan(-150, 0);
    request.follow(camera);
    expect(asked.length).toBe(1);
    camera.pan(-300, 0);
    request.follow(camera);
    expect(asked.length).toBe(2);
    camera.zoomBy(1.2);
    request.follow(camera);
    expect(asked.length).toBe(3);
  });
});
