"""What must hold after kills, cut connections and full disks, tried out with seeds."""
