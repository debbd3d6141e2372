-- How many jobs a customer has open that he posted himself, exact for the statement that asks: posts of
-- one customer wait for each other here, and a volatile function counts what the one before committed.
create function muster_count_open_jobs(customer text) returns integer language plpgsql volatile as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('muster/open-jobs/' || customer, 0));
  return (
    select count(*)::integer from jobs
    where customer_id = customer and by_customer
      and status in ('pending', 'confirmed', 'assigned'));
end
$$;
