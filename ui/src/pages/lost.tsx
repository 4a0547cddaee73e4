import { Link } from "@tanstack/react-router";
import { Empty } from "@/components/states";
import { stateText } from "@/text";

export function Lost() {
  return (
    <Empty title={stateText.lost} action={<Link to="/runs" className="text-accent hover:underline">{stateText.toRuns}</Link>}>
      {stateText.lostNote}
    </Empty>
  );
}
