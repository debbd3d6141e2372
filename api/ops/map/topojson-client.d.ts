/** The package has no types; these are the parts in use. */
declare module 'topojson-client' {
  interface Lands {
    features: { geometry: { coordinates: [lng: number, lat: number][][][] } }[];
  }
  export function feature(topology: object, object: object): Lands;
}
