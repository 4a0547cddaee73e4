/** The run as a graph of sequential and concurrent steps. Loaded on demand. */

import dagre from "@dagrejs/dagre";
import { useQuery } from "@tanstack/react-query";
import { Background, Controls, type Edge, Handle, MiniMap, type Node, type NodeProps, Position, ReactFlow } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { CircleStop, ShieldQuestion, Split, SquareFunction } from "lucide-react";
import { useMemo } from "react";
import { get, part } from "@/api/client";
import type { Run, StepsTree, TreeNode } from "@/api/types";
import { Empty, Loaded } from "@/components/states";
import { isOpen } from "@/components/status";
import { Skeleton } from "@/components/ui";
import { classes } from "@/lib/format";
import { duration } from "@/lib/time";
import { useIsDark } from "@/shell/theme";
import { stepName } from "./layout";

const nodeStatusLabels = { success: "Done", error: "Failed", running: "Running", cancelled: "Cancelled", waiting: "Waiting" };

type StepNode = Node<{ node: TreeNode; isSelected: boolean; isDown: boolean }, "step">;

const size = { width: 190, height: 44 };
const rims: Record<TreeNode["status"], string> = { success: "border-l-ok-fill", error: "border-l-bad-fill", running: "border-l-info-fill", cancelled: "border-l-idle-fill", waiting: "border-l-warn-fill" };

export default function Graph({ run, selected, onSelect }: { run: Run; selected: string | null; onSelect: (position: string | null) => void }) {
  const isDark = useIsDark();
  const query = useQuery({
    queryKey: ["run", run.workflow_id, "tree"],
    queryFn: ({ signal }) => get<StepsTree>(`workflows/${part(run.workflow_id)}/steps-tree`, undefined, signal),
    refetchInterval: isOpen(run.status) ? 2000 : false,
  });
  const placed = useMemo(() => query.data && arrange(query.data, selected), [query.data, selected]);
  return (
    <Loaded query={query} skeleton={<Skeleton className="m-4 h-80" />}>
      {(tree) =>
        tree.nodes.length === 0 ? (
          <Empty title="No steps yet">Steps appear in the graph once they are recorded.</Empty>
        ) : (
          <div className="h-[max(420px,calc(100dvh-320px))] w-full" data-testid="graph">
            {tree.truncated && <p className="border-b px-4 py-2 text-warn">This run has too many steps to draw. The timeline shows all of them.</p>}
            <ReactFlow
              nodes={placed!.nodes}
              edges={placed!.edges}
              nodeTypes={nodeTypes}
              colorMode={isDark ? "dark" : "light"}
              fitView
              fitViewOptions={{ padding: 0.15, maxZoom: 1 }}
              minZoom={0.1}
              nodesDraggable={false}
              nodesConnectable={false}
              edgesFocusable={false}
              proOptions={{ hideAttribution: true }}
              onNodeClick={(_, node) => onSelect(node.data.node.position)}
              onPaneClick={() => onSelect(null)}
            >
              <Background gap={20} size={1} color="var(--line)" bgColor="var(--bg)" />
              <Controls showInteractive={false} />
              {tree.nodes.length > 12 && <MiniMap pannable zoomable bgColor="var(--sunken)" nodeColor="var(--line-strong)" maskColor="var(--scrim)" />}
            </ReactFlow>
          </div>
        )
      }
    </Loaded>
  );
}

/** Laid out left to right if it fits; a long chain runs downwards to stay readable. */
function arrange(tree: StepsTree, selected: string | null): { nodes: StepNode[]; edges: Edge[]; isDown: boolean } {
  const laid = lay(tree, "LR");
  const isDown = (laid.graph().width ?? 0) > 1500;
  const graph = isDown ? lay(tree, "TB") : laid;
  return {
    nodes: tree.nodes.map((node) => {
      const at = graph.node(node.id) as { x: number; y: number };
      return { id: node.id, type: "step", position: { x: at.x - size.width / 2, y: at.y - size.height / 2 }, data: { node, isDown, isSelected: node.position !== null && node.position === selected }, ...size };
    }),
    edges: tree.edges.map((edge) => ({ id: `${edge.source}>${edge.target}`, source: edge.source, target: edge.target, type: "default", style: { stroke: "var(--line-strong)", strokeWidth: 1.5 } })),
    isDown,
  };
}

function lay(tree: StepsTree, rankdir: "LR" | "TB") {
  const graph = new dagre.graphlib.Graph().setGraph({ rankdir, nodesep: 14, ranksep: rankdir === "LR" ? 42 : 26 }).setDefaultEdgeLabel(() => ({}));
  for (const node of tree.nodes) graph.setNode(node.id, { ...size });
  for (const edge of tree.edges) graph.setEdge(edge.source, edge.target);
  dagre.layout(graph);
  return graph;
}

function StepBox({ data: { node, isSelected, isDown } }: NodeProps<StepNode>) {
  const Icon = node.type === "child-workflow" ? Split : node.type === "approval" ? ShieldQuestion : node.type === "workflow-result" ? CircleStop : SquareFunction;
  return (
    <div
      className={classes("flex flex-col justify-center rounded-md border border-l-[3px] bg-bg px-2.5 font-sans", rims[node.status], isSelected ? "border-y-accent border-r-accent bg-selected" : "border-line-strong", node.status === "running" && "bg-info-soft")}
      style={size}
    >
      <Handle type="target" position={isDown ? Position.Top : Position.Left} className="!size-0 !min-h-0 !min-w-0 !border-0 !bg-transparent" />
      <div className="flex items-center gap-1.5">
        <Icon className="size-3.5 shrink-0 text-faint" />
        <span className="truncate text-xs font-medium">{node.type === "workflow-result" ? "Result" : stepName(node.name)}</span>
      </div>
      <div className={classes("truncate text-2xs", node.status === "error" ? "text-bad" : "text-faint")}>
        {nodeStatusLabels[node.status]}
        {node.started_at_ms !== null && node.ended_at_ms !== null && ` · ${duration(node.ended_at_ms - node.started_at_ms)}`}
      </div>
      <Handle type="source" position={isDown ? Position.Bottom : Position.Right} className="!size-0 !min-h-0 !min-w-0 !border-0 !bg-transparent" />
    </div>
  );
}

const nodeTypes = { step: StepBox };
