/** Positions around a place, in kilometres east and north of it. */
export interface Place {
  lat: number;
  lng: number;
}

/** Kilometres of a degree of latitude. */
export const KM_PER_DEG = 111.2;

export function placeAt(centre: Place, eastKm: number, northKm: number): Place {
  const squeeze = Math.cos((centre.lat * Math.PI) / 180);
  return {
    lat: centre.lat + northKm / KM_PER_DEG,
    lng: centre.lng + eastKm / (KM_PER_DEG * squeeze),
  };
}

/** Five decimals are about a metre, as phones report it. */
export function rounded({ lat, lng }: Place): Place {
  return { lat: Math.round(lat * 1e5) / 1e5, lng: Math.round(lng * 1e5) / 1e5 };
}
