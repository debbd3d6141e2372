import { describe, expect, it } from 'vitest';
import { newJobAlert, textOf } from '../../../engine/domain/notifications.ts';

describe('what people are told', () => {
  it('is word for word what the contract says', () => {
    expect(textOf('driver_assigned')).toMatchObject({
      title: 'Driver Assigned',
      body: 'A driver has accepted your job!',
    });
    expect(newJobAlert('1 Main St', 120)).toEqual({
      title: 'New Job Nearby',
      body: '1 Main St - $120',
    });
    expect(newJobAlert('1 Main St', 99.5).body).toBe('1 Main St - $99.5');
  });
});
