/** The package brings no types; this is what is used of it. */
declare module 'topojson-client' {
  interface Lands {
    features: { geometry: { coordinates: [lng: number, lat: number][][][] } }[];
  }
  export function feature(topology: object, object: object): Lands;
}
