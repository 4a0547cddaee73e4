import { Link } from "@tanstack/react-router";
import { Empty } from "@/components/states";

export function NotFoundPage() {
  return (
    <Empty title="Page not found" action={<Link to="/runs" className="text-accent hover:underline">Go to runs</Link>}>
      The link may be outdated or mistyped.
    </Empty>
  );
}
