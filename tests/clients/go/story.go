// The story, told with the client that openapi-generator writes for Go.
// Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"strings"

	registry "circle-registry-clients/client"
)

const team = "go-team"

var ctx = context.Background()

func main() {
	client, nobody := connect(os.Getenv("CIRCLE_REGISTRY_TOKEN")), connect("")

	_, _, err := nobody.CirclesAPI.ListCircles(ctx).Execute()
	equal(refused(err, 401).Code, "unauthenticated")
	acme := answered(client.ProvidersAPI.CreateProvider(ctx).
		ProviderCreate(*registry.NewProviderCreate("go-acme", "openai")).Execute())
	newModel := registry.NewModelCreate(acme.Id, "acme-large")
	newModel.SetInputPrice("2.5")
	large := answered(client.ModelsAPI.CreateModel(ctx).ModelCreate(*newModel).Execute())
	equal(large.GetInputPrice(), "2.5000000000")

	var agents []int64
	for _, name := range []string{"Ada", "Linus", "Grace"} {
		agent := registry.NewAgentCreate(name)
		agent.SetModelId(large.Id)
		agent.SetSkillNames([]string{"review"})
		agents = append(agents, answered(client.AgentsAPI.CreateAgent(ctx).AgentCreate(*agent).Execute()).Id)
	}
	ada, grace := agents[0], agents[2]

	circle := answered(client.CirclesAPI.CreateCircle(ctx).
		CircleCreate(*registry.NewCircleCreate(team)).Execute())
	equal(circle.Status, registry.CIRCLESTATUS_STOPPED)
	for index, role := range []registry.MemberRole{
		registry.MEMBERROLE_LEAD, registry.MEMBERROLE_REVIEWER, registry.MEMBERROLE_MEMBER,
	} {
		member := registry.NewMemberCreate(agents[index])
		member.SetRole(role)
		added := answered(client.MembersAPI.AddMember(ctx, team).MemberCreate(*member).Execute())
		equal(added.Role, role)
	}

	// Page through the members, two at a time: every one comes once.
	var seen []int64
	page := answered(client.MembersAPI.ListMembers(ctx, team).Limit(2).Count(true).Execute())
	for {
		equal(page.GetTotal(), int64(3))
		for _, member := range page.Data {
			seen = append(seen, member.AgentId)
		}
		if !page.NextCursor.IsSet() || page.NextCursor.Get() == nil {
			break
		}
		page = answered(client.MembersAPI.ListMembers(ctx, team).Limit(2).Count(true).
			Cursor(page.GetNextCursor()).Execute())
	}
	equal(seen, agents)
	sorted := answered(client.AgentsAPI.ListAgents(ctx).Ids(fmt.Sprintf("%d,%d", ada, grace)).
		Sort(registry.SORT_NAME_DESCENDING).Execute())
	equal(sorted.Data[0].Id, grace)

	// Clear a field that may be null; what is not named stays.
	update := registry.NewAgentUpdate()
	update.SetModelIdNil()
	cleared := answered(client.AgentsAPI.UpdateAgent(ctx, grace).AgentUpdate(*update).Execute())
	equal(cleared.ModelId.Get() == nil, true)
	equal(cleared.SkillNames, []string{"review"})

	// The state has a name: 304 while nothing has changed.
	roster, response, err := client.CirclesAPI.GetCircle(ctx, team).Execute()
	roster = answered(roster, response, err)
	equal(roster.MemberCount, int64(3))
	equal(roster.Members[1].AgentName, "Grace")
	equal(roster.Members[1].ModelName.Get() == nil, true)
	_, response, err = client.CirclesAPI.GetCircle(ctx, team).
		IfNoneMatch(response.Header.Get("ETag")).Execute()
	equal(response.StatusCode, 304)

	handles := answered(client.HandlesAPI.GetCircleHandles(ctx, team).Execute()).Handles
	equal(handles[0].GetModel(), "acme-large")
	equal(handles[1].Capabilities.Get() == nil, true)
	equal(handles[1].Warnings[0].Code, registry.WARNINGCODE_NO_MODEL)
	newTalk := registry.NewConversationCreate("Release")
	newTalk.SetCircle(team)
	newTalk.SetTurnStrategy(registry.TURNSTRATEGY_ROUND_ROBIN)
	talk := answered(client.ConversationsAPI.CreateConversation(ctx).ConversationCreate(*newTalk).Execute())
	turn := registry.NewMessageCreate()
	turn.SetContent("Ready?")
	turn.SetAgentId(ada)
	say := client.MessagesAPI.CreateMessage(ctx, talk.Id).MessageCreate(*turn)
	equal(answered(say.Execute()).Number, int64(1))
	_, _, err = say.Execute()
	equal(refused(err, 409).Code, "not_its_turn")
	transcript := answered(client.MessagesAPI.GetTranscript(ctx, talk.Id).Execute())
	equal(strings.Contains(transcript, "Ready?"), true)

	_, _, err = client.CirclesAPI.GetCircle(ctx, "nobody").Execute()
	equal(refused(err, 404).Code, "not_found")
	_, _, err = client.CirclesAPI.CreateCircle(ctx).CircleCreate(*registry.NewCircleCreate(team)).Execute()
	equal(refused(err, 409).Code, "circle_name_taken")
	_, _, err = client.MembersAPI.AddMember(ctx, team).
		MemberCreate(*registry.NewMemberCreate(999_999)).Execute()
	invalid := refused(err, 422)
	equal(invalid.Code, "invalid_request")
	equal(invalid.Errors[0].Pointer, "#/agent_id")
}

func connect(token string) *registry.APIClient {
	configuration := registry.NewConfiguration()
	configuration.Servers = registry.ServerConfigurations{{URL: os.Args[1]}}
	if token != "" {
		configuration.AddDefaultHeader("Authorization", "Bearer "+token)
	}
	return registry.NewAPIClient(configuration)
}

func answered[T any](answer T, response *http.Response, err error) T {
	if err != nil {
		panic(fmt.Sprint(err, response))
	}
	return answer
}

func refused(err error, status int) registry.Problem {
	var refusal *registry.GenericOpenAPIError
	if !errors.As(err, &refusal) {
		panic(fmt.Sprint("not refused: ", err))
	}
	problem, ok := refusal.Model().(registry.Problem)
	equal(ok, true)
	equal(int(problem.Status), status)
	return problem
}

func equal(found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		panic(fmt.Sprintf("%v is not %v", found, expected))
	}
}
